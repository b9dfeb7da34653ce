import { describe, expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, createApiKey, revokeApiKey, tryCreateApiKey, verify } from '../factories.js';
import type { ApiKeyFilter, UpdateApiKeyInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, expectMember, startServer } from '../harness.js';

const createDocument = graphql(`
  mutation CreateOfApiKeys($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      __typename
      ... on CreateApiKeyPayload {
        secret signingSecret freeCreditsRemaining
        apiKey {
          id name product environment status preview keyId permissions allowedOrigins signingSecretPreview
          signingSecretRotatedAt createdAt expiresAt lastUsedAt revokedAt revocationReason
          createdBy { id } workspace { id }
        }
      }
      ... on Error { code message }
    }
  }
`);

const updateDocument = graphql(`
  mutation UpdateOfApiKeys($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) {
      __typename
      ... on UpdateApiKeyPayload { apiKey { id name status permissions allowedOrigins expiresAt } }
      ... on Error { code message }
      ... on LimitReachedError { limit }
    }
  }
`);

const revokeDocument = graphql(`
  mutation RevokeOfApiKeys($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      __typename
      ... on RevokeApiKeyPayload { apiKey { id status revokedAt revocationReason } }
      ... on Error { code message }
    }
  }
`);

const deleteDocument = graphql(`
  mutation DeleteOfApiKeys($input: DeleteApiKeyInput!) {
    deleteApiKey(input: $input) {
      __typename
      ... on DeleteApiKeyPayload { deletedApiKeyId }
      ... on Error { code message }
    }
  }
`);

const listDocument = graphql(`
  query ListOfApiKeys($workspaceId: ID, $filter: ApiKeyFilter) {
    apiKeys(workspaceId: $workspaceId, filter: $filter) { nodes { name status } }
  }
`);

const oneDocument = graphql(`
  query OneOfApiKeys($id: ID!) { apiKey(id: $id) { id name createdBy { id } } }
`);

const update = async (client: Client, input: UpdateApiKeyInput) =>
  (await client.run(updateDocument, { input })).updateApiKey;
const namesOf = async (client: Client, workspaceId: string, filter: ApiKeyFilter = {}) =>
  (await client.run(listDocument, { workspaceId, filter })).apiKeys.nodes.map(({ name }) => name);

describe('createApiKey', () => {
  test('a new key returns its secrets once, and the first key grants free credits', async () => {
    const person = await aPerson(await aServer());
    const { createApiKey: created } = await person.client.run(createDocument, { input: { name: ' ci ' } });
    const { secret, signingSecret } = expectMember(created, 'CreateApiKeyPayload');
    expect(created).toEqual({
      __typename: 'CreateApiKeyPayload',
      secret: expect.stringMatching(/^tk_live_[A-Za-z0-9]{36}$/),
      signingSecret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
      freeCreditsRemaining: 100,
      apiKey: {
        id: expect.stringMatching(/^key_[0-9a-f]{32}$/),
        name: 'ci',
        product: 'default',
        environment: 'LIVE',
        status: 'ACTIVE',
        preview: secret.slice(-4),
        keyId: null,
        permissions: ['data:read', 'data:write', 'export:create', 'preview:use'],
        allowedOrigins: [],
        signingSecretPreview: signingSecret?.slice(-4),
        signingSecretRotatedAt: expect.any(String),
        createdAt: expect.any(String),
        expiresAt: null,
        lastUsedAt: null,
        revokedAt: null,
        revocationReason: null,
        createdBy: { id: person.id },
        workspace: { id: person.personalWorkspaceId },
      },
    });
    expect((await createApiKey(person.client, { name: 'second' })).freeCreditsRemaining).toBe(0);
  });

  test('createApiKey applies the environment, permissions, origins and expiry of the input', async () => {
    const person = await aPerson(await aServer());
    const { createApiKey: created } = await person.client.run(createDocument, {
      input: {
        name: 'restricted',
        environment: 'TEST',
        permissions: ['data:read', 'data:read'],
        allowedOrigins: ['HTTPS://App.Example.com/', 'https://app.example.com', 'http://localhost:3000'],
        expiresAt: '2999-01-31T12:00:00+02:00',
      },
    });
    expect(expectMember(created, 'CreateApiKeyPayload').apiKey).toMatchObject({
      environment: 'TEST',
      permissions: ['data:read'],
      allowedOrigins: ['https://app.example.com', 'http://localhost:3000'],
      expiresAt: '2999-01-31T10:00:00.000Z',
    });
  });

  test('a key that a service creates has the workspace of the input and no createdBy user', async () => {
    const server = await aServer();
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    const { createApiKey: created } = await server.backend.run(createDocument, {
      input: { workspaceId, name: 'issued', product: 'makra' },
    });
    expect(expectMember(created, 'CreateApiKeyPayload').apiKey).toMatchObject({
      createdBy: null,
      workspace: { id: workspaceId },
    });
    expect(await tryCreateApiKey(server.backend, { name: 'of whom' })).toEqual({
      __typename: 'ValidationError',
      code: 'BAD_USER_INPUT',
      message: 'Set workspaceId to the workspace that will own the key.',
    });
  });

  test('a product without test keys refuses the TEST environment', async () => {
    const person = await aPerson(await aServer());
    expect(await tryCreateApiKey(person.client, { name: 'a', product: 'masko', environment: 'TEST' })).toEqual({
      __typename: 'ValidationError',
      code: 'BAD_USER_INPUT',
      message: 'masko has LIVE keys only. Set the environment to LIVE.',
    });
  });
});

describe('updateApiKey', () => {
  test('an update changes only the fields in the input', async () => {
    const { client } = await aPerson(await aServer());
    const { apiKey } = await createApiKey(client, { name: 'ci', permissions: ['data:read', 'data:write'] });
    const apiKeyId = apiKey.id;
    let now = {
      id: apiKeyId,
      name: 'ci',
      status: 'ACTIVE',
      permissions: ['data:read', 'data:write'],
      allowedOrigins: [] as string[],
      expiresAt: null as string | null,
    };
    const steps: readonly (readonly [Omit<UpdateApiKeyInput, 'apiKeyId'>, Partial<typeof now>])[] = [
      [{ name: 'deploy' }, { name: 'deploy' }],
      [{ permissions: ['data:read'] }, { permissions: ['data:read'] }],
      [{ permissions: [] }, { permissions: [] }],
      [{ allowedOrigins: ['https://a.example.com'] }, { allowedOrigins: ['https://a.example.com'] }],
      [{ allowedOrigins: [] }, { allowedOrigins: [] }],
      [{ expiresAt: '2999-01-31T12:00:00Z' }, { expiresAt: '2999-01-31T12:00:00.000Z' }],
      [{}, {}],
      [{ name: null, permissions: null, allowedOrigins: null, enabled: null }, {}],
      [{ expiresAt: null }, { expiresAt: null }],
      [{ enabled: false }, { status: 'DISABLED' }],
      [{ enabled: true }, { status: 'ACTIVE' }],
    ];
    for (const [change, expected] of steps) {
      now = { ...now, ...expected };
      expect(await update(client, { apiKeyId, ...change }), JSON.stringify(change)).toEqual({
        __typename: 'UpdateApiKeyPayload',
        apiKey: now,
      });
    }
  });

  test('a new restriction applies to the next verification', async () => {
    const server = await aServer();
    const { client } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(client, { name: 'ci' });
    const ask = () => verify(server, secret, { requires: ['data:write'], origin: 'https://b.example.com' });
    expect(await ask()).toMatchObject({ code: 'VALID' });
    await update(client, { apiKeyId: apiKey.id, permissions: ['data:read'] });
    expect(await ask()).toMatchObject({ code: 'FORBIDDEN' });
    await update(client, { apiKeyId: apiKey.id, allowedOrigins: ['https://a.example.com'] });
    expect(await ask()).toMatchObject({ code: 'ORIGIN_NOT_ALLOWED' });
  });

  test('disabling and enabling apply to the next verification', async () => {
    const server = await aServer();
    const { client } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(client, { name: 'ci' });
    await update(client, { apiKeyId: apiKey.id, enabled: false });
    expect(await verify(server, secret)).toMatchObject({
      code: 'DISABLED',
      rejection: { status: 401, code: 'key_disabled' },
    });
    await update(client, { apiKeyId: apiKey.id, enabled: true });
    expect(await verify(server, secret)).toMatchObject({ code: 'VALID' });
  });

  test('an expired key is refused until its expiry is removed', async () => {
    const server = await startServer();
    const { client, personalWorkspaceId } = await aPerson(server);
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const { apiKey, secret } = await createApiKey(client, { name: 'ci', expiresAt });
    expect(await verify(server, secret)).toMatchObject({ code: 'VALID' });
    server.clock.advance(60_000);
    expect(await verify(server, secret)).toMatchObject({
      code: 'EXPIRED',
      rejection: { status: 401, code: 'key_expired' },
    });
    expect(await namesOf(client, personalWorkspaceId, { status: 'EXPIRED' })).toEqual(['ci']);
    expect(await update(client, { apiKeyId: apiKey.id, expiresAt: null })).toMatchObject({
      apiKey: { status: 'ACTIVE' },
    });
    expect(await verify(server, secret)).toMatchObject({ code: 'VALID' });
  });
});

describe('revokeApiKey and deleteApiKey', () => {
  test('a revocation is permanent and keeps its first reason and time', async () => {
    const server = await aServer();
    const { client } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(client, { name: 'ci' });
    const input = { apiKeyId: apiKey.id, reason: ' Leaked ' };
    const revoked = await client.run(revokeDocument, { input });
    expect(revoked).toEqual({
      revokeApiKey: {
        __typename: 'RevokeApiKeyPayload',
        apiKey: { id: apiKey.id, status: 'REVOKED', revokedAt: expect.any(String), revocationReason: 'Leaked' },
      },
    });
    expect(await client.run(revokeDocument, { input: { ...input, reason: 'Again' } })).toEqual(revoked);
    expect(await verify(server, secret)).toMatchObject({ code: 'INVALID_CREDENTIAL', apiKey: null });
    expect(await update(client, { apiKeyId: apiKey.id, enabled: true })).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The key is revoked. Create another one.',
    });
  });

  test('a deleted key is refused and removed from every list, and its ledger entries remain', async () => {
    const server = await aServer();
    const { client, personalWorkspaceId: workspaceId } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(client, { name: 'ci' });
    await verify(server, secret, { charge: { action: 'request' } });
    const input = { apiKeyId: apiKey.id };
    expect(await client.run(deleteDocument, { input })).toEqual({
      deleteApiKey: { __typename: 'DeleteApiKeyPayload', deletedApiKeyId: apiKey.id },
    });
    expect(await client.run(deleteDocument, { input })).toMatchObject({
      deleteApiKey: { __typename: 'NotFoundError' },
    });
    expect(await namesOf(client, workspaceId)).toEqual([]);
    expect(await namesOf(client, workspaceId, { status: 'REVOKED' })).toEqual([]);
    expect(await client.run(oneDocument, { id: apiKey.id })).toEqual({ apiKey: null });
    expect(await verify(server, secret)).toMatchObject({ code: 'INVALID_CREDENTIAL' });
    const { data } = await client.send('{ credits { entries { nodes { kind apiKeyId } } } }');
    expect(data).toEqual({
      credits: {
        entries: {
          nodes: [
            { kind: 'CHARGE', apiKeyId: apiKey.id },
            { kind: 'GRANT', apiKeyId: apiKey.id },
          ],
        },
      },
    });
  });
});

describe('apiKeys', () => {
  test('filters select keys by current status, product and environment', async () => {
    const server = await startServer();
    const { client, personalWorkspaceId: workspaceId } = await aPerson(server);
    const make = async (name: string, input: object = {}) => (await createApiKey(client, { name, ...input })).apiKey.id;
    await make('active');
    await make('test', { environment: 'TEST' });
    await make('masko', { product: 'masko' });
    const disabled = await make('disabled');
    const revoked = await make('revoked');
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    await make('expired', { expiresAt });
    const both = await make('expired and disabled', { expiresAt });
    for (const apiKeyId of [disabled, both]) await update(client, { apiKeyId, enabled: false });
    await revokeApiKey(client, revoked);
    server.clock.advance(60_001);

    const filters: readonly (readonly [ApiKeyFilter, string[]])[] = [
      [{}, ['expired and disabled', 'expired', 'revoked', 'disabled', 'masko', 'test', 'active']],
      [{ status: 'ACTIVE' }, ['masko', 'test', 'active']],
      [{ status: 'DISABLED' }, ['disabled']],
      [{ status: 'EXPIRED' }, ['expired and disabled', 'expired']],
      [{ status: 'REVOKED' }, ['revoked']],
      [{ product: 'masko' }, ['masko']],
      [{ product: 'nonsense' }, []],
      [{ environment: 'TEST' }, ['test']],
      [{ status: 'ACTIVE', product: 'default', environment: 'LIVE' }, ['active']],
    ];
    for (const [filter, names] of filters) {
      expect(await namesOf(client, workspaceId, filter), JSON.stringify(filter)).toEqual(names);
    }
    const { apiKeys } = await client.run(listDocument, { workspaceId });
    expect(Object.fromEntries(apiKeys.nodes.map(({ name, status }) => [name, status]))).toEqual({
      active: 'ACTIVE',
      test: 'ACTIVE',
      masko: 'ACTIVE',
      disabled: 'DISABLED',
      revoked: 'REVOKED',
      expired: 'EXPIRED',
      'expired and disabled': 'EXPIRED',
    });
  });

  test('without a workspace, a person lists the keys of all their workspaces and no others', async () => {
    const server = await aServer();
    const person = await aPerson(server);
    const workspaceId = await anOrganization(person);
    const member = await aMember(server, person, workspaceId, 'MEMBER');
    await createApiKey(person.client, { name: 'personal' });
    await createApiKey(person.client, { name: 'of the organization', workspaceId });
    await createApiKey(member.client, { name: 'of the member' });
    const list = async (client: Client) =>
      (await client.run(listDocument, { filter: {} })).apiKeys.nodes.map(({ name }) => name);
    expect(await list(person.client)).toEqual(['of the organization', 'personal']);
    expect(await list(member.client)).toEqual(['of the member', 'of the organization']);
  });

  test('a key reads itself, but neither its siblings nor its creator', async () => {
    const server = await aServer();
    const { client, personalWorkspaceId: workspaceId } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(client, { name: 'self' });
    const sibling = await createApiKey(client, { name: 'sibling' });
    const self = server.anonymous.with({ authorization: `Bearer ${secret}` });
    expect(await namesOf(self, workspaceId)).toEqual(['self']);
    expect(await self.run(oneDocument, { id: apiKey.id })).toEqual({
      apiKey: { id: apiKey.id, name: 'self', createdBy: null },
    });
    expect(await self.run(oneDocument, { id: sibling.apiKey.id })).toEqual({ apiKey: null });
    const { data } = await self.send('{ viewer { workspace { apiKeys { nodes { id } } } } }');
    expect(data).toEqual({ viewer: { workspace: { apiKeys: { nodes: [] } } } });
  });
});

describe('the limit of active keys per workspace', () => {
  test('counts only active keys of the product, and also applies when a key is enabled or its expiry is removed', async () => {
    const server = await startServer();
    const { client } = await aPerson(server);
    const make = (name: string, input: object = {}) => tryCreateApiKey(client, { name, product: 'masko', ...input });
    const ids: string[] = [];
    for (let made = 0; made < 10; made += 1) {
      const expiresAt = made === 0 ? new Date(Date.now() + 60_000).toISOString() : null;
      ids.push(expectMember(await make(`${made}`, { expiresAt }), 'CreateApiKeyPayload').apiKey.id);
    }
    const [expired = '', disabled = '', revoked = ''] = ids;
    const limit = {
      __typename: 'LimitReachedError',
      code: 'LIMIT_REACHED',
      message: 'A workspace can have at most 10 active keys of masko. Revoke or disable one first.',
    };
    expect(await make('one more')).toEqual(limit);
    await createApiKey(client, { name: 'of another product' });

    await update(client, { apiKeyId: disabled, enabled: false });
    expectMember(await make('in its place'), 'CreateApiKeyPayload');
    expect(await update(client, { apiKeyId: disabled, enabled: true })).toEqual({ ...limit, limit: 10 });
    expect(await update(client, { apiKeyId: disabled, name: 'renamed all the same' })).toMatchObject({
      apiKey: { name: 'renamed all the same', status: 'DISABLED' },
    });

    await revokeApiKey(client, revoked);
    expect(await update(client, { apiKeyId: disabled, enabled: true })).toMatchObject({ apiKey: { status: 'ACTIVE' } });

    server.clock.advance(60_000);
    expectMember(await make('after it expired'), 'CreateApiKeyPayload');
    expect(await update(client, { apiKeyId: expired, expiresAt: null })).toEqual({ ...limit, limit: 10 });
  });
});
