import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProductFile } from '../../src/products/product.js';
import { aPerson, charge, createApiKey, grantCredits, revokeApiKey, verify } from '../factories.js';
import { graphql } from '../generated/index.js';
import { aServer, expectMember } from '../harness.js';
import { aServerSelling, expectSoundLedger, readLedger, tryGrant } from './credit-operations.js';

const suspendDocument = graphql(`
  mutation SuspendOfIdempotency($input: SuspendWorkspaceInput!) {
    suspendWorkspace(input: $input) { __typename ... on SuspendWorkspacePayload { workspace { id } } ... on Error { message } }
  }
`);

/** A person with a LIVE key and credits, on the server with all presets. The product has no rate limits. */
async function aCustomer(credits = 10) {
  const server = await aServer();
  const person = await aPerson(server);
  const workspaceId = person.personalWorkspaceId;
  const { secret, apiKey } = await createApiKey(person.client, { name: 'ci', product: 'craftkit' });
  if (credits > 0) await grantCredits(server, workspaceId, credits);
  return { server, person, workspaceId, secret, apiKeyId: apiKey.id };
}

describe('a repeated charge', () => {
  test('returns the original for any other input and takes no credits', async () => {
    const { server, person, workspaceId, secret } = await aCustomer(10);
    const { secret: sibling } = await createApiKey(person.client, { name: 'sibling', product: 'craftkit' });
    // A key of another product with other prices.
    const { secret: foreign } = await createApiKey(person.client, { name: 'cad', product: 'makistry' });
    const original = await charge(server, secret, { action: 'render', quantity: 2.5, idempotencyKey: 'job-1' });
    expect(original).toMatchObject({ code: 'VALID', charge: { credits: 3, balanceAfter: 57, replayed: false } });
    const before = await readLedger(server, workspaceId);

    const repetition = fc.record({
      credential: fc.constantFrom(secret, sibling, foreign),
      action: fc.oneof(
        fc.constantFrom('render', 'text_to_cad', '', 'constructor', '__proto__', 'no such action'),
        // Any text without NUL, which the server always refuses.
        fc.string({ maxLength: 300, unit: 'binary' }).filter((text) => !text.includes('\0')),
      ),
      quantity: fc.oneof(fc.constant(2.5), fc.double({ min: Number.MIN_VALUE, max: Number.MAX_VALUE, noNaN: true })),
      hold: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(repetition, async ({ credential, ...rest }) => {
        const repeated = await charge(server, credential, { ...rest, idempotencyKey: 'job-1' });
        expect(repeated).toMatchObject({ code: 'VALID', rejection: null });
        expect(repeated.charge).toEqual({ ...original.charge, replayed: true });
      }),
      { numRuns: 60, interruptAfterTimeLimit: 8_000 },
    );
    expect(await readLedger(server, workspaceId)).toEqual(before);
  });

  test('is a separate charge in the other environment', async () => {
    const { server, person, secret } = await aCustomer(10);
    const { secret: trial } = await createApiKey(person.client, {
      name: 'trial',
      product: 'craftkit',
      environment: 'TEST',
    });
    const again = { action: 'render', idempotencyKey: 'job-1' };
    expect(await charge(server, trial, again)).toMatchObject({ charge: { credits: 0, replayed: false } });
    expect(await charge(server, secret, again)).toMatchObject({ charge: { credits: 1, replayed: false } });
    expect(await charge(server, trial, again)).toMatchObject({ charge: { credits: 0, replayed: true } });
  });

  test('returns the original after the credits are used up', async () => {
    const { server, secret } = await aCustomer(3);
    const original = await charge(server, secret, { action: 'render', quantity: 3, idempotencyKey: 'job-1' });
    expect(await charge(server, secret, { action: 'render' })).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
    const repeated = await charge(server, secret, { action: 'render', quantity: 3, idempotencyKey: 'job-1' });
    expect(repeated).toMatchObject({ code: 'VALID', charge: { ...original.charge, replayed: true } });
  });

  test('returns the original to another API key after the first one is revoked', async () => {
    const { server, person, secret, apiKeyId } = await aCustomer();
    const original = await charge(server, secret, { action: 'render', idempotencyKey: 'job-1' });
    await revokeApiKey(person.client, apiKeyId);
    expect(await charge(server, secret, { action: 'render', idempotencyKey: 'job-1' })).toMatchObject({
      code: 'INVALID_CREDENTIAL',
      charge: null,
    });
    const { secret: next } = await createApiKey(person.client, { name: 'next', product: 'craftkit' });
    const repeated = await charge(server, next, { action: 'render', idempotencyKey: 'job-1' });
    expect(repeated).toMatchObject({ code: 'VALID', charge: { ...original.charge, replayed: true } });
  });

  test('returns the original after a price change, and new charges have the new price', async () => {
    const selling = (credits: number) =>
      aServerSelling([
        {
          slug: 'changing',
          title: 'Changing',
          description: 'Its price is not what it was.',
          credential: {
            transport: 'bearer',
            secrets: { LIVE: { prefix: 'changing_', alphabet: 'hex', length: 32 } },
          },
          issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['OWNER'] },
          prices: credits > 0 ? { work: { credits, unit: 'unit', description: 'Work.' } } : {},
          freeCredits: 100,
        } satisfies ProductFile,
      ]);
    const before = await selling(2);
    const person = await aPerson(before);
    const { secret } = await createApiKey(person.client, { name: 'ci' });
    const original = await charge(before, secret, { action: 'work', idempotencyKey: 'job-1' });
    expect(original.charge).toMatchObject({ credits: 2, balanceAfter: 98 });

    const dearer = await selling(7);
    expect(await charge(dearer, secret, { action: 'work', idempotencyKey: 'job-1' })).toMatchObject({
      charge: { ...original.charge, replayed: true },
    });
    expect(await charge(dearer, secret, { action: 'work', idempotencyKey: 'job-2' })).toMatchObject({
      charge: { credits: 7, balanceAfter: 91, replayed: false },
    });
    const withoutPrice = await selling(0);
    expect(await charge(withoutPrice, secret, { action: 'work', idempotencyKey: 'job-1' })).toMatchObject({
      charge: { ...original.charge, replayed: true },
    });
  });

  test('is refused like any other request of a suspended workspace', async () => {
    const { server, workspaceId, secret } = await aCustomer();
    await charge(server, secret, { action: 'render', idempotencyKey: 'job-1' });
    const { suspendWorkspace } = await server.backend.run(suspendDocument, { input: { workspaceId } });
    expectMember(suspendWorkspace, 'SuspendWorkspacePayload');
    expect(await charge(server, secret, { action: 'render', idempotencyKey: 'job-1' })).toMatchObject({
      code: 'WORKSPACE_SUSPENDED',
      charge: null,
    });
  });
});

test('the same idempotency key in two workspaces makes two charges', async () => {
  const [one, other] = [await aCustomer(10), await aCustomer(20)];
  const first = await charge(one.server, one.secret, { action: 'render', idempotencyKey: 'job-1' });
  const second = await charge(other.server, other.secret, { action: 'render', idempotencyKey: 'job-1' });
  expect(first.charge).toMatchObject({ replayed: false, balanceAfter: 9 });
  expect(second.charge).toMatchObject({ replayed: false, balanceAfter: 19 });
  expect(second.charge?.id).not.toBe(first.charge?.id);
});

test('a grant and a charge may have the same idempotency key', async () => {
  const { server, workspaceId, secret } = await aCustomer(10);
  const granted = await tryGrant(server, { workspaceId, credits: 5, idempotencyKey: 'job-1' });
  expect(granted).toMatchObject({ replayed: false, entry: { balanceAfter: 15 } });
  const paid = await charge(server, secret, { action: 'render', idempotencyKey: 'job-1' });
  expect(paid.charge).toMatchObject({ replayed: false, balanceAfter: 14 });
});

describe('an idempotency key is not recorded for a refusal', () => {
  test('due to insufficient credits', async () => {
    const { server, workspaceId, secret } = await aCustomer(0);
    const ask = () => charge(server, secret, { action: 'render', quantity: 4, idempotencyKey: 'job-1' });
    expect(await ask()).toMatchObject({ code: 'INSUFFICIENT_CREDITS', charge: null });
    expect(await ask()).toMatchObject({ code: 'INSUFFICIENT_CREDITS', charge: null });
    await grantCredits(server, workspaceId, 5);
    expect(await ask()).toMatchObject({ code: 'VALID', charge: { credits: 4, balanceAfter: 1, replayed: false } });
    expect(await ask()).toMatchObject({ code: 'VALID', charge: { credits: 4, balanceAfter: 1, replayed: true } });
  });

  test('due to a refused key or an unknown action', async () => {
    const { server, workspaceId, secret } = await aCustomer(5);
    const asked = { action: 'render', idempotencyKey: 'job-1' };
    expect(await verify(server, secret, { requires: ['embed_session:create'], charge: asked })).toMatchObject({
      code: 'FEATURE_DISABLED',
      charge: null,
    });
    await expect(charge(server, secret, { ...asked, action: 'no such action' })).rejects.toThrow('BAD_USER_INPUT');
    expect(await charge(server, secret, asked)).toMatchObject({ code: 'VALID', charge: { replayed: false } });
    const ledger = await readLedger(server, workspaceId);
    expectSoundLedger(ledger);
    expect(ledger.entries.map(({ kind }) => kind)).toEqual(['GRANT', 'CHARGE']);
  });
});
