import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { deleteExpiredRecords } from '../../src/domain/commands/idempotency.js';
import { aMember, anOrganization, aPerson, createApiKey, grantCredits, revokeApiKey, verify } from '../factories.js';
import { type Answer, aServer, startServer } from '../harness.js';
import { aServerSelling, atOnce, readLedger } from '../property/credit-operations.js';
import {
  createKey,
  type Data,
  first,
  grant,
  keysOf,
  payloadOf,
  refusal,
  rename,
  replayed,
  replayedForAnotherBody,
  replayOf,
  under,
  verifyKey,
  verifyKeys,
} from './idempotent-requests.js';

describe('the same idempotency key', () => {
  test('returns the original result for any body, with headers for the replay and a different body', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const keyed = under(owner.client, randomUUID());
    const original = await keyed.send<Data>(createKey, { input: { name: 'ci' } });
    expect(original.data).toMatchObject({ createApiKey: { __typename: 'CreateApiKeyPayload' } });
    expect(replayOf(original)).toEqual(first);

    const repeated = await keyed.send<Data>(createKey, { input: { name: 'ci' } });
    expect(repeated).toMatchObject({ status: 200, data: original.data, errors: [] });
    expect(replayOf(repeated)).toEqual(replayed);

    // The order of the fields, and literals instead of variables, do not count as a different body.
    const inline = createKey
      .replace('($input: CreateApiKeyInput!)', '')
      .replace('input: $input', 'input: { name: "ci" }');
    expect(replayOf(await keyed.send<Data>(inline))).toEqual(replayed);

    const other = await keyed.send<Data>(createKey, { input: { name: 'another', product: 'masko' } });
    expect(other).toMatchObject({ status: 200, data: original.data, errors: [] });
    expect(replayOf(other)).toEqual(replayedForAnotherBody);
    expect(await keysOf(server, owner.personalWorkspaceId)).toBe(1);
  });

  test('resolves a different selection from the original result', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const keyed = under(owner.client, randomUUID());
    const original = await keyed.send<Data>(createKey, { input: { name: 'ci' } });
    const { secret, apiKey } = payloadOf<{ secret: string; apiKey: { id: string } }>(original);
    const other = await keyed.send<Data>(
      `mutation ($input: CreateApiKeyInput!) { again: createApiKey(input: $input) {
        ... on CreateApiKeyPayload { plaintext: secret apiKey { id product preview status workspace { id } } } } }`,
      { input: { name: 'ci' } },
    );
    expect(other.data).toEqual({
      again: {
        plaintext: secret,
        apiKey: {
          id: apiKey.id,
          product: 'default',
          preview: secret.slice(-4),
          status: 'ACTIVE',
          workspace: { id: owner.personalWorkspaceId },
        },
      },
    });
    expect(replayOf(other)).toEqual(replayed);
  });

  test('is independent per workspace', async () => {
    const server = await aServer();
    const [one, other] = [await aPerson(server), await aPerson(server)];
    const key = randomUUID();
    for (const person of [one, other]) {
      const answer = await under(person.client, key).send<Data>(createKey, { input: { name: 'ci' } });
      expect(answer.data).toMatchObject({ createApiKey: { __typename: 'CreateApiKeyPayload' } });
      expect(replayOf(answer)).toEqual(first);
    }
  });

  test('is the same with and without quotes', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const key = randomUUID();
    const original = await under(owner.client, key).send(createKey, { input: { name: 'ci' } });
    const repeated = await under(owner.client, `"${key}"`).send(createKey, { input: { name: 'ci' } });
    expect(repeated.data).toEqual(original.data);
    expect(replayOf(repeated)).toEqual(replayed);
  });

  test('for another mutation is refused with 422', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const keyed = under(owner.client, 'key-1');
    await keyed.send(createKey, { input: { name: 'ci' } });
    const { personalWorkspaceId: workspaceId } = owner;
    const answer = await keyed.send(rename, { input: { workspaceId, name: 'Renamed' } });
    expect(refusal(answer)).toEqual({
      status: 422,
      data: null,
      codes: ['IDEMPOTENCY_KEY_REUSED'],
      messages: ['This Idempotency-Key was used for createApiKey. Use a new key for each request.'],
    });
    expect(replayOf(answer)).toEqual(first);
  });

  test('of a customer does not collide with that of a service', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const { personalWorkspaceId: workspaceId } = owner;
    await under(owner.client, 'invoice-17').send(rename, { input: { workspaceId, name: 'Squatter' } });
    const paid = await under(server.backend, 'invoice-17').send<Data>(grant, { input: { workspaceId, credits: 5 } });
    expect(paid.data?.grantCredits).toMatchObject({ replayed: false, credits: { balance: 5 } });
  });

  test('is refused with 422 for a different body when the product is strict', async () => {
    const server = await aServerSelling([
      {
        slug: 'careful',
        title: 'Careful',
        description: 'Refuses what it did not mean.',
        credential: { transport: 'bearer', secrets: { LIVE: { prefix: 'careful_', alphabet: 'hex', length: 32 } } },
        issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['OWNER'] },
        idempotency: { strict: true },
      },
    ]);
    const owner = await aPerson(server);
    const keyed = under(owner.client, randomUUID());
    const original = await keyed.send(createKey, { input: { name: 'ci' } });
    expect(refusal(await keyed.send(createKey, { input: { name: 'other' } }))).toEqual({
      status: 422,
      data: null,
      codes: ['IDEMPOTENCY_KEY_REUSED'],
      messages: ['This Idempotency-Key was used with another input. Send the same input, or use a new key.'],
    });
    const repeated = await keyed.send(createKey, { input: { name: 'ci' } });
    expect(repeated.data).toEqual(original.data);
    expect(replayOf(repeated)).toEqual(replayed);
  });
});

describe('an idempotency key is not bound to the credential:', () => {
  test('another session, an admin and a service get the original result', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    const key = randomUUID();
    const input = { workspaceId, name: 'ci' };
    const original = await under(owner.client, key).send<Data>(createKey, { input });
    const signedInAgain = await server.fetch('/api/auth/sign-in/email', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: owner.email, password: 'correct horse battery' }),
    });
    const { token } = (await signedInAgain.json()) as { token: string };
    const session = server.anonymous.with({ authorization: `Bearer ${token}` });
    for (const client of [session, admin.client, server.backend]) {
      const repeated = await under(client, key).send<Data>(createKey, { input });
      expect(repeated.data).toEqual(original.data);
      expect(replayOf(repeated)).toEqual(replayed);
    }
    expect(await keysOf(server, workspaceId)).toBe(1);
  });

  test('another API key of the workspace gets the original charge after the first key is revoked', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const key = randomUUID();
    const old = await createApiKey(owner.client, { name: 'old', product: 'craftkit' });
    const next = await createApiKey(owner.client, { name: 'next', product: 'craftkit' });
    await grantCredits(server, owner.personalWorkspaceId, 10);
    const ask = (secret: string) =>
      under(server.backend, key).send<Data>(verifyKey, {
        input: { credential: { bearer: secret }, charge: { action: 'render' } },
      });
    const original = await ask(old.secret);
    await revokeApiKey(owner.client, old.apiKey.id);
    expect((await ask(old.secret)).data?.verifyApiKey).toMatchObject({ code: 'INVALID_CREDENTIAL', charge: null });
    const repeated = await ask(next.secret);
    expect(repeated.data?.verifyApiKey?.charge).toEqual({
      ...(original.data?.verifyApiKey?.charge as object),
      replayed: true,
    });
    expect(replayOf(repeated)).toEqual(replayedForAnotherBody);
  });
});

describe('a refusal is not recorded, and the same idempotency key succeeds later,', () => {
  test('after insufficient credits', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const { secret } = await createApiKey(owner.client, { name: 'ci', product: 'craftkit' });
    const keyed = under(server.backend, randomUUID());
    const input = { credential: { bearer: secret }, charge: { action: 'render', quantity: 4 } };
    for (let times = 0; times < 2; times += 1) {
      const poor = await keyed.send<Data>(verifyKey, { input });
      expect(poor.data?.verifyApiKey).toMatchObject({ code: 'INSUFFICIENT_CREDITS', charge: null });
      expect(replayOf(poor)).toEqual(first);
    }
    await grantCredits(server, owner.personalWorkspaceId, 5);
    const paid = await keyed.send<Data>(verifyKey, { input });
    expect(paid.data?.verifyApiKey).toMatchObject({ code: 'VALID', charge: { credits: 4, replayed: false } });
    expect(replayOf(paid)).toEqual(first);
    const repeated = await keyed.send<Data>(verifyKey, { input });
    expect(repeated.data?.verifyApiKey).toMatchObject({ code: 'VALID', charge: { credits: 4, replayed: true } });
    expect((await readLedger(server, owner.personalWorkspaceId)).balance).toBe(1);
  });

  test('after a rate limit was exceeded, which repeated requests count against', async () => {
    const server = await startServer();
    const owner = await aPerson(server);
    const { secret } = await createApiKey(owner.client, { name: 'ci', product: 'masko' });
    await grantCredits(server, owner.personalWorkspaceId, 100);
    const input = { credential: { bearer: secret }, charge: { action: 'image' } };
    const keyed = under(server.backend, randomUUID());
    const original = await keyed.send<Data>(verifyKey, { input });
    const repeated = await keyed.send<Data>(verifyKey, { input });
    const remaining = (answer: Answer<Data>) =>
      payloadOf<{ rateLimits: { remaining: number }[] }>(answer).rateLimits[0]?.remaining;
    expect([remaining(original), remaining(repeated)]).toEqual([59, 58]);
    await atOnce(58, () => verify(server, secret));
    const late = under(server.backend, randomUUID());
    expect((await late.send<Data>(verifyKey, { input })).data?.verifyApiKey).toMatchObject({ code: 'RATE_LIMITED' });
    server.clock.advance(61_000);
    const answer = await late.send<Data>(verifyKey, { input });
    expect(answer.data?.verifyApiKey).toMatchObject({ code: 'VALID', charge: { replayed: false } });
  });

  test('after a product limit was reached or the input was invalid', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = owner.personalWorkspaceId;
    const made = await atOnce(10, (index) => createApiKey(owner.client, { name: `ci ${index}`, product: 'masko' }));
    const keyed = under(owner.client, randomUUID());
    const input = { name: 'eleventh', product: 'masko' };
    const refused = await keyed.send<Data>(createKey, { input });
    expect(refused.data?.createApiKey).toMatchObject({ __typename: 'LimitReachedError' });
    const wrong = await keyed.send<Data>(createKey, { input: { ...input, name: '' } });
    expect(wrong.data?.createApiKey).toMatchObject({ __typename: 'ValidationError' });
    await revokeApiKey(owner.client, made[0]?.apiKey.id ?? '');
    const answer = await keyed.send<Data>(createKey, { input });
    expect(answer.data?.createApiKey).toMatchObject({ __typename: 'CreateApiKeyPayload' });
    expect(replayOf(answer)).toEqual(first);
    expect(await server.services.db.idempotencyRecord.count({ where: { workspaceId } })).toBe(1);
  });
});

describe('idempotent verifications', () => {
  test('of a batch each run once, identified by their index', async () => {
    const server = await aServer();
    const [rich, poor] = [await aPerson(server), await aPerson(server)];
    const keys = await Promise.all(
      [rich, poor].map(({ client }) => createApiKey(client, { name: 'ci', product: 'craftkit' })),
    );
    await grantCredits(server, rich.personalWorkspaceId, 10);
    const inputs = [0, 1, 0].map((index) => ({
      credential: { bearer: keys[index]?.secret },
      charge: { action: 'render', quantity: 2 },
    }));
    const keyed = under(server.backend, randomUUID());
    const original = await keyed.send<{ verifyApiKeys: Record<string, unknown>[] }>(verifyKeys, { inputs });
    expect(original.data?.verifyApiKeys).toMatchObject([
      { code: 'VALID', charge: { credits: 2, replayed: false } },
      { code: 'INSUFFICIENT_CREDITS', charge: null },
      { code: 'VALID', charge: { credits: 2, replayed: false } },
    ]);
    await grantCredits(server, poor.personalWorkspaceId, 10);
    const repeated = await keyed.send<{ verifyApiKeys: Record<string, unknown>[] }>(verifyKeys, { inputs });
    const charges = original.data?.verifyApiKeys.map(({ charge }) => charge as { id: string } | null) ?? [];
    expect(repeated.data?.verifyApiKeys).toMatchObject([
      { charge: { id: charges[0]?.id, replayed: true } },
      { code: 'VALID', charge: { credits: 2, replayed: false } },
      { charge: { id: charges[2]?.id, replayed: true } },
    ]);
    expect(replayOf(repeated)).toEqual(replayed);
    expect((await readLedger(server, rich.personalWorkspaceId)).balance).toBe(6);
    expect((await readLedger(server, poor.personalWorkspaceId)).balance).toBe(8);
  });

  test('have separate idempotency keys in TEST and LIVE', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    await grantCredits(server, owner.personalWorkspaceId, 10);
    const keyed = under(server.backend, randomUUID());
    for (const [environment, credits] of [
      ['TEST', 0],
      ['LIVE', 1],
    ] as const) {
      const { secret } = await createApiKey(owner.client, { name: 'ci', product: 'craftkit', environment });
      const input = { credential: { bearer: secret }, charge: { action: 'render' } };
      const answer = await keyed.send<Data>(verifyKey, { input });
      expect(answer.data?.verifyApiKey?.charge).toMatchObject({ credits, replayed: false });
    }
  });
});

describe('idempotency records', () => {
  test('of the header expire after 72 hours and are then deleted in bounded steps', async () => {
    const server = await startServer();
    const owner = await aPerson(server);
    const { personalWorkspaceId: workspaceId } = owner;
    const keyed = under(server.backend, randomUUID());
    const ask = () => keyed.send<Data>(grant, { input: { workspaceId, credits: 7 } });
    const hourMs = 3_600_000;
    await ask();
    server.clock.advance(72 * hourMs - 60_000);
    expect(replayOf(await ask())).toEqual(replayed);
    server.clock.advance(61_000);
    // The record has expired, whether or not it is deleted yet.
    expect(replayOf(await ask())).toEqual(first);
    expect((await readLedger(server, workspaceId)).balance).toBe(14);

    const { db } = server.services;
    const left = () => db.idempotencyRecord.count({ where: { workspaceId } });
    await deleteExpiredRecords(server.services);
    expect(await left()).toBe(1);
    server.clock.advance(73 * hourMs);
    await deleteExpiredRecords(server.services);
    expect(await left()).toBe(0);
  });

  test('of input fields never expire', async () => {
    const server = await startServer();
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    await grantCredits(server, workspaceId, 7, 'invoice-17');
    server.clock.advance(1_000 * 3_600_000);
    await deleteExpiredRecords(server.services);
    expect(await grantCredits(server, workspaceId, 7, 'invoice-17')).toBe(7);
  });
});
