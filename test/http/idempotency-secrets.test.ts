import { randomUUID } from 'node:crypto';
import { v1 as uuidv1, v7 as uuidv7 } from 'uuid';
import { describe, expect, test } from 'vitest';
import { anOrganization, aPerson } from '../factories.js';
import { aServer } from '../harness.js';
import { createKey, type Data, invite, keysOf, payloadOf, replayed, replayOf, under } from './idempotent-requests.js';

describe('one-time secrets', () => {
  test.each([
    ['version 4', randomUUID],
    ['version 7', uuidv7],
    ['version 4 in upper case', () => randomUUID().toUpperCase()],
  ])('are replayed for an idempotency key that is a UUID of %s', async (_version, makeKey) => {
    const server = await aServer();
    const owner = await aPerson(server);
    const keyed = under(owner.client, makeKey());
    const original = await keyed.send<Data>(createKey, { input: { name: 'ci', product: 'makistry' } });
    expect(original.data?.createApiKey).toMatchObject({
      secret: expect.stringMatching(/^mk_pub_/),
      signingSecret: expect.stringMatching(/^whsec_/),
    });
    expect((await keyed.send(createKey, { input: { name: 'ci', product: 'makistry' } })).data).toEqual(original.data);
  });

  test.each([
    ['a word', 'deploy-42'],
    ['a time-based UUID of version 1', uuidv1()],
    ['the nil UUID', '00000000-0000-0000-0000-000000000000'],
  ])('are unavailable in a replay for %s only when the document selects them', async (_what, key) => {
    const server = await aServer();
    const owner = await aPerson(server);
    const keyed = under(owner.client, key);
    const original = await keyed.send<Data>(createKey, { input: { name: 'ci' } });
    const { id } = payloadOf<{ apiKey: { id: string } }>(original).apiKey;
    const repeated = await keyed.send<Data>(createKey, { input: { name: 'ci' } });
    expect(repeated.data).toEqual({
      createApiKey: {
        __typename: 'SecretUnavailableError',
        subjectId: id,
        code: 'SECRET_UNAVAILABLE',
        message: expect.stringContaining(id),
      },
    });
    expect(replayOf(repeated)).toEqual(replayed);
    const modest = await keyed.send<Data>(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
        ...Made ... on CreateApiKeyPayload { secret @include(if: false) } } }
      fragment Made on CreateApiKeyPayload { freeCreditsRemaining apiKey { id name } }`,
      { input: { name: 'ci' } },
    );
    expect(modest.data).toEqual({ createApiKey: { freeCreditsRemaining: 100, apiKey: { id, name: 'ci' } } });
    expect(await keysOf(server, owner.personalWorkspaceId)).toBe(1);
  });

  test('and the idempotency keys that decrypt them are neither stored nor logged in plaintext', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const key = randomUUID();
    const made = await under(owner.client, key).send<Data>(createKey, { input: { workspaceId, name: 'ci' } });
    const invitationKey = randomUUID();
    const invited = await under(owner.client, invitationKey).send<Data>(invite, {
      input: { workspaceId, email: 'guest@example.com', role: 'MEMBER' },
    });
    const { secret, signingSecret } = payloadOf<Record<string, string>>(made);
    const { token } = payloadOf<Record<string, string>>(invited);
    const records = await server.services.db.idempotencyRecord.findMany({ where: { workspaceId } });
    const rows = records.map((record) =>
      Object.values(record)
        .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value)))
        .join(' '),
    );
    expect(rows).toHaveLength(2);
    for (const plaintext of [secret, signingSecret, token, key, invitationKey]) {
      if (plaintext === undefined) throw new Error('Something was not shown.');
      expect(rows.filter((row) => row.includes(plaintext))).toEqual([]);
      expect(server.logged()).not.toContain(plaintext);
    }
  });
});
