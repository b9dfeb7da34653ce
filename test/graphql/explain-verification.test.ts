import { describe, expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, createApiKey, revokeApiKey, verify } from '../factories.js';
import type { VerifyApiKeyInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client } from '../harness.js';

const explainDocument = graphql(`
  query Explain($input: VerifyApiKeyInput!) {
    explainVerification(input: $input) {
      code
      apiKey { id }
      checks { code rule passed reason }
    }
  }
`);

async function explain(client: Client, input: VerifyApiKeyInput) {
  return (await client.run(explainDocument, { input })).explainVerification;
}

async function failuresOf(client: Client, input: VerifyApiKeyInput) {
  const { code, checks } = await explain(client, input);
  return { code, failures: checks.filter(({ passed }) => passed === false).map((check) => [check.code, check.reason]) };
}

describe('explainVerification', () => {
  test('passes every check of a valid key, and has no side effect', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci' });
    const answer = await explain(owner.client, { credential: { bearer: secret }, charge: { action: 'request' } });
    expect(answer).toMatchObject({ code: 'VALID', apiKey: { id: apiKey.id } });
    expect(answer.checks.map(({ passed }) => passed)).toEqual(answer.checks.map(() => true));
    const { charge, rateLimits } = await verify(server, secret, { charge: { action: 'request' } });
    expect(charge?.balanceAfter).toBe(99);
    expect(rateLimits[0]?.remaining).toBe(59);
  });

  test('reports a wrong environment, for which a verification returns only INVALID_CREDENTIAL', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const { secret } = await createApiKey(owner.client, { name: 'ci', environment: 'TEST' });
    const input = { credential: { bearer: secret }, environment: 'LIVE' } as const;
    expect(await failuresOf(owner.client, input)).toEqual({
      code: 'INVALID_CREDENTIAL',
      failures: [['INVALID_CREDENTIAL', 'The environment of the key is TEST, not LIVE.']],
    });
    expect(await verify(server, secret, { environment: 'LIVE' })).toMatchObject({
      code: 'INVALID_CREDENTIAL',
      apiKey: null,
      rejection: { message: 'The API key is not valid.' },
    });
  });

  test('lists every failed check, not only the first', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci', permissions: ['data:read'] });
    await revokeApiKey(owner.client, apiKey.id);
    const { code, failures } = await failuresOf(server.backend, {
      credential: { bearer: secret },
      requires: ['data:write'],
      charge: { action: 'request', quantity: 101 },
    });
    expect(code).toBe('INVALID_CREDENTIAL');
    expect(failures).toEqual([
      ['INVALID_CREDENTIAL', expect.stringMatching(/^The key was revoked at /)],
      ['FORBIDDEN', 'The key does not hold data:write.'],
      ['INSUFFICIENT_CREDITS', 'The action costs 101 credits; 100 are available.'],
    ]);
  });

  test('returns the result for an unknown key to strangers and to plain members', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { secret } = await createApiKey(owner.client, { name: 'ci', workspaceId });
    const stranger = await aPerson(server);
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const expected = {
      code: 'INVALID_CREDENTIAL',
      failures: [['INVALID_CREDENTIAL', expect.stringContaining('this server has no such key')]],
    };
    expect(await failuresOf(stranger.client, { credential: { bearer: secret } })).toEqual(expected);
    expect(await failuresOf(member.client, { credential: { bearer: secret } })).toEqual(expected);
  });
});
