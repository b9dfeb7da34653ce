import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, createApiKey, join } from '../factories.js';
import { aServer } from '../harness.js';
import {
  createKey,
  type Data,
  first,
  invite,
  refusal,
  removeMember,
  replayed,
  replayOf,
  rotateSigningSecret,
  under,
  updateMember,
} from './idempotent-requests.js';

describe('a repeated request needs the same permission as the original:', () => {
  async function aKeyMadeUnder(key: string) {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const input = { workspaceId, name: 'ci' };
    const original = await under(owner.client, key).send<Data>(createKey, { input });
    return { server, owner, workspaceId, input, original };
  }

  test('a caller without access to the workspace learns nothing from the idempotency key', async () => {
    const key = randomUUID();
    const { server, input } = await aKeyMadeUnder(key);
    const stranger = await aPerson(server);
    const withKey = await under(stranger.client, key).send(createKey, { input });
    const without = await stranger.client.send(createKey, { input });
    expect(withKey).toMatchObject({ status: without.status, data: without.data, errors: [] });
    expect(withKey.data).toMatchObject({ createApiKey: { __typename: 'NotFoundError' } });
    expect(replayOf(withKey)).toEqual(first);
    const anonymous = await under(server.anonymous, key).send(createKey, { input });
    expect(refusal(anonymous)).toMatchObject({ status: 401, codes: ['UNAUTHENTICATED'] });
  });

  test('a member without permission to create keys is refused', async () => {
    const key = randomUUID();
    const { server, owner, workspaceId, input } = await aKeyMadeUnder(key);
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const answer = await under(member.client, key).send<Data>(createKey, { input });
    expect(answer.data?.createApiKey).toMatchObject({ __typename: 'ForbiddenError' });
    expect(replayOf(answer)).toEqual(first);
  });

  test('a caller with permission gets the original, even for an input that would be refused', async () => {
    const key = randomUUID();
    const { owner, input, original } = await aKeyMadeUnder(key);
    for (const product of ['makra', 'no such product']) {
      const repeated = await under(owner.client, key).send<Data>(createKey, { input: { ...input, product } });
      expect(repeated.data).toEqual(original.data);
      expect(replayOf(repeated)).toEqual({ replayed: 'true', bodyDiffers: 'true' });
    }
  });

  test('an API key never gets the signing secret of another key', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const idempotencyKey = randomUUID();
    const [one, other] = await Promise.all(
      ['one', 'other'].map((name) => createApiKey(owner.client, { name, product: 'makistry' })),
    );
    const rotate = (made: typeof one) =>
      under(server.anonymous.with({ authorization: `Bearer ${made?.secret}` }), idempotencyKey).send<Data>(
        rotateSigningSecret,
        { input: { apiKeyId: made?.apiKey.id } },
      );
    const original = await rotate(one);
    expect(original.data?.rotateSigningSecret).toMatchObject({ __typename: 'RotateSigningSecretPayload' });
    expect(refusal(await rotate(other))).toMatchObject({ status: 422, codes: ['IDEMPOTENCY_KEY_REUSED'] });
    expect((await rotate(one)).data).toEqual(original.data);
  });

  test('an admin never gets the token of an owner invitation', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    const key = randomUUID();
    const asOwner = { workspaceId, email: 'guest@example.com', role: 'OWNER' };
    const original = await under(owner.client, key).send<Data>(invite, { input: asOwner });
    expect(original.data?.inviteMember).toMatchObject({ token: expect.stringMatching(/^tki_/) });
    const byAdmin = await under(admin.client, key).send<Data>(invite, { input: asOwner });
    expect(byAdmin.data?.inviteMember).toMatchObject({ __typename: 'ForbiddenError' });
    const asMember = { ...asOwner, role: 'MEMBER' };
    expect(refusal(await under(admin.client, key).send(invite, { input: asMember }))).toMatchObject({ status: 422 });
  });

  test('a person who gave up their own role or left gets the original', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const other = await aPerson(server);
    const memberId = await join(owner, workspaceId, other, 'OWNER');
    const steps = [
      [updateMember, { input: { memberId, role: 'MEMBER' } }],
      [removeMember, { input: { memberId } }],
    ] as const;
    for (const [document, variables] of steps) {
      const keyed = under(other.client, randomUUID());
      const original = await keyed.send(document, variables);
      expect(JSON.stringify(original.data)).toContain('Payload');
      const repeated = await keyed.send(document, variables);
      expect(repeated.data).toEqual(original.data);
      expect(replayOf(repeated)).toEqual(replayed);
      // Other people get NOT_FOUND.
      const stranger = await aPerson(server);
      const foreign = await under(stranger.client, keyed.headers['idempotency-key'] ?? '').send(document, variables);
      expect(JSON.stringify(foreign.data)).toContain('NOT_FOUND');
    }
  });
});
