import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { aMember, anOrganization, aPerson, aWorkspaceWith, createApiKey, revokeApiKey, verify } from '../factories.js';
import { allProducts, aServer, publicUrl } from '../harness.js';
import { allowed, failure, fieldRefusedOverHttp, refused, refusedOverHttp } from './answers.js';
import {
  ask,
  askForKey,
  askToRevoke,
  bearer,
  creditsOf,
  deleteApiKey,
  keyOf,
  keysOf,
  productsOf,
  updateApiKey,
  updateMember,
  workspacesOf,
} from './calls.js';

// A team (company) of the document is a workspace here, `appSlug` is the product, `partner_id` the id of the
// key. Not testable on a key server: the developer area and the portal, which are clients of this API; the
// merchant’s secret manager; payment links. For a session without access to a team, the server returns
// "not found" instead of 403, because a refused read looks like an unknown id.

const unauthorized = { status: 401, code: 'unauthorized', message: 'Unauthorized' };
const invalid = { status: 401, code: 'invalid_credentials', message: 'Invalid MakePay API credentials' };
const forbidden = { status: 403, code: 'forbidden', message: 'Forbidden' };

/** An unknown key ID or secret in the document’s format. Hex is a subset of base62. */
const anUnknownKeyId = () => `mk_makepay_${randomBytes(12).toString('hex')}`;
const anUnknownSecret = () => `mksec_${randomBytes(22).toString('hex').slice(0, 43)}`;

/** The credential of a key, as the backend passes it on and as a merchant sends it. */
function pairOf(keyId: string | null, secret: string) {
  const pair = { keyId: keyId ?? '', secret };
  return {
    credential: { pair },
    headers: { 'x-makecrypto-key-id': pair.keyId, 'x-makecrypto-key-secret': pair.secret },
  };
}

/** The key and its workspace, as in a refusal of a known key. */
function known(apiKey: { id: string }, workspaceId: string) {
  return { apiKey: { id: apiKey.id, name: expect.any(String) }, workspace: { id: workspaceId } };
}

async function aKey(rest: { allowedOrigins?: string[] } = {}) {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makepay', kind: 'ORGANIZATION' });
  const created = await createApiKey(owner.client, { name: 'Production backend', workspaceId, ...rest });
  return { server, owner, workspaceId, ...created, ...pairOf(created.apiKey.keyId, created.secret) };
}

describe('Credential model', () => {
  test('the products query returns the headers and the secret format of MakePay keys without a credential', async () => {
    expect(await productsOf(await aServer({ products: ['makepay'] }))).toEqual([
      {
        slug: 'makepay',
        headers: ['x-makecrypto-key-id', 'x-makecrypto-key-secret'],
        keyFormats: [{ environment: 'LIVE', prefix: 'mksec_', length: 43, alphabet: 'base62', checksum: false }],
        permissions: [
          { name: 'payment_link:read', grantable: true, feature: null },
          { name: 'payment_link:manage', grantable: true, feature: null },
        ],
        features: [],
        prices: [],
        freeCredits: 0,
        rateLimits: [],
        activeKeysMax: null,
        signingSecrets: false,
      },
    ]);
  });

  test('each key has a public key ID (mk_makepay_ and letters) and a secret (mksec_ and letters)', async () => {
    const { apiKey, secret } = await aKey();
    expect(apiKey.keyId).toMatch(/^mk_makepay_[0-9A-Za-z]{24}$/);
    expect(secret).toMatch(/^mksec_[0-9A-Za-z]{43}$/);
  });

  test('a key is scoped to one team', async () => {
    const { server, owner, workspaceId, headers } = await aKey();
    const otherId = await anOrganization(owner, 'another team');
    const query = `{ own: workspace(id: "${workspaceId}") { id } other: workspace(id: "${otherId}") { id } }`;
    expect(await ask(server, headers, query)).toEqual({
      status: 200,
      body: { data: { own: { id: workspaceId }, other: null } },
      headers: {},
    });
  });

  test('the secret is stored as a hash', async () => {
    const { server, apiKey, secret } = await aKey();
    const stored = await server.services.db.keySecret.findMany({ where: { apiKeyId: apiKey.id } });
    expect(stored.map(({ hash }) => Buffer.from(hash).toString('hex'))).toEqual([
      createHash('sha256').update(secret).digest('hex'),
    ]);
  });

  test('the secret is returned once after creation, and the key ID can be read again', async () => {
    const { owner, workspaceId, apiKey, secret } = await aKey();
    const { data } = await owner.client.send(
      `{ apiKeys(workspaceId: "${workspaceId}") { nodes { id keyId preview product status } } }`,
    );
    expect(data).toEqual({
      apiKeys: {
        nodes: [
          {
            id: apiKey.id,
            keyId: apiKey.keyId,
            preview: secret.slice(-4),
            product: 'makepay',
            status: 'ACTIVE',
          },
        ],
      },
    });
  });
});

describe('API key creation', () => {
  const created = (person: { id: string }, workspaceId: string) => ({
    __typename: 'CreateApiKeyPayload',
    apiKey: {
      name: 'Production backend',
      product: 'makepay',
      createdBy: { id: person.id },
      workspace: { id: workspaceId },
    },
  });
  const refusal = {
    __typename: 'ForbiddenError',
    code: 'FORBIDDEN',
    permission: 'settings:manage',
    message: 'You may not create keys of makepay in this workspace.',
  };

  test.each(['OWNER', 'ADMIN'] as const)('%s of a team holds settings:manage and can create keys', async (role) => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makepay', kind: 'ORGANIZATION' });
    const person = await aMember(server, owner, workspaceId, role);
    expect(await askForKey(person.client, { name: 'Production backend', workspaceId })).toEqual(
      created(person, workspaceId),
    );
  });

  test('a person can create keys for their personal workspace', async () => {
    const { owner, workspaceId } = await aWorkspaceWith({ product: 'makepay' });
    expect(await askForKey(owner.client, { name: 'Production backend' })).toEqual(created(owner, workspaceId));
  });

  test('MEMBER of a team can create keys only while they have settings:manage', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makepay', kind: 'ORGANIZATION' });
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const askForOne = () => askForKey(member.client, { name: 'Production backend', workspaceId });
    expect(await askForOne()).toEqual(refusal);

    const given = { memberId: member.memberId, permissions: ['settings:manage'] };
    expect(await updateMember(owner.client, given)).toEqual({
      __typename: 'UpdateMemberPayload',
      member: { id: member.memberId, role: 'MEMBER', permissions: ['settings:manage'] },
    });
    expect(await askForOne()).toEqual(created(member, workspaceId));

    await updateMember(owner.client, { memberId: member.memberId, permissions: [] });
    expect(await askForOne()).toEqual(refusal);
  });

  test('MEMBER with apiKey:create and without settings:manage cannot create keys', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makepay', kind: 'ORGANIZATION' });
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    await updateMember(owner.client, { memberId: member.memberId, permissions: ['apiKey:create'] });
    expect(await askForKey(member.client, { name: 'Production backend', workspaceId })).toEqual(refusal);
  });

  test('requests without a session and requests with a key cannot create keys', async () => {
    const { server, workspaceId, headers } = await aKey();
    const create = `mutation { createApiKey(input: { name: "sly", workspaceId: "${workspaceId}" }) { __typename } }`;
    expect(await ask(server, {}, create)).toEqual(
      fieldRefusedOverHttp('UNAUTHENTICATED', unauthorized, 'createApiKey'),
    );
    expect(await ask(server, headers, create)).toEqual({
      // An error of one field is returned beside the data, with status 200 and the code FORBIDDEN.
      status: 200,
      body: { data: null, errors: [failure('FORBIDDEN', forbidden, 'createApiKey')] },
      headers: {},
    });
  });

  test('a portal lists the teams of the current user', async () => {
    const { owner, workspaceId } = await aWorkspaceWith({ product: 'makepay', kind: 'ORGANIZATION' });
    expect(await workspacesOf(owner.client)).toEqual([
      { id: workspaceId, name: 'Acme', kind: 'ORGANIZATION' },
      { id: owner.personalWorkspaceId, name: 'Ada', kind: 'PERSONAL' },
    ]);
  });

  test('a key is created with name, app and allowed origins, and returns its key ID, its id and the secret', async () => {
    const server = await aServer({ products: allProducts });
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    expect(
      await createApiKey(owner.client, {
        workspaceId,
        name: 'Production backend',
        product: 'makepay',
        allowedOrigins: ['https://merchant.example'],
      }),
    ).toEqual({
      __typename: 'CreateApiKeyPayload',
      secret: expect.stringMatching(/^mksec_/),
      signingSecret: null,
      freeCreditsRemaining: 0,
      apiKey: {
        id: expect.any(String),
        keyId: expect.stringMatching(/^mk_makepay_/),
        preview: expect.any(String),
        status: 'ACTIVE',
        permissions: ['payment_link:read', 'payment_link:manage'],
        allowedOrigins: ['https://merchant.example'],
        environment: 'LIVE',
        product: 'makepay',
      },
    });
  });

  test('a payment route resolves the team from the key, without a team in the request', async () => {
    const { server, workspaceId, apiKey, credential, headers } = await aKey();
    expect(await verify(server, credential)).toEqual(allowed(apiKey, workspaceId));
    expect(await ask(server, headers, '{ viewer { workspace { id } } credits { balance } }')).toEqual({
      status: 200,
      body: { data: { viewer: { workspace: { id: workspaceId } }, credits: { balance: 0 } } },
      headers: {},
    });
  });

  test.each([
    ['an allowed origin', 'https://merchant.example'],
    ['an allowed origin with its default port', 'https://merchant.example:443'],
    ['no origin, as from a server', undefined],
  ])('a key with allowed origins is accepted from %s', async (_name, origin) => {
    const { server, workspaceId, apiKey, credential } = await aKey({ allowedOrigins: ['https://merchant.example'] });
    expect(await verify(server, credential, origin === undefined ? {} : { origin })).toEqual(
      allowed(apiKey, workspaceId),
    );
  });

  test.each(['https://evil.example', 'http://merchant.example', 'https://merchant.example:8443', 'null'])(
    'a key with allowed origins is refused with 403 from another origin: %s',
    async (origin) => {
      const { server, workspaceId, apiKey, credential } = await aKey({ allowedOrigins: ['https://merchant.example'] });
      expect(await verify(server, credential, { origin })).toEqual(
        refused('ORIGIN_NOT_ALLOWED', forbidden, known(apiKey, workspaceId)),
      );
    },
  );

  test('a key without allowed origins is accepted from any origin', async () => {
    const { server, workspaceId, apiKey, credential } = await aKey();
    expect(await verify(server, credential, { origin: 'https://evil.example' })).toEqual(allowed(apiKey, workspaceId));
  });
});

describe('Request authentication', () => {
  test('the key ID and the secret are sent in two headers with case-insensitive names', async () => {
    const { server, apiKey, secret } = await aKey();
    for (const headers of [
      { 'x-makecrypto-key-id': apiKey.keyId ?? '', 'x-makecrypto-key-secret': secret },
      { 'X-MakeCrypto-Key-Id': apiKey.keyId ?? '', 'X-MakeCrypto-Key-Secret': secret },
    ]) {
      expect(await ask(server, headers)).toEqual({
        status: 200,
        body: { data: { viewer: { apiKey: { id: apiKey.id } } } },
        headers: {},
      });
    }
  });

  test('a GET with both headers is authenticated', async () => {
    const { server, apiKey, headers } = await aKey();
    const query = encodeURIComponent('{ viewer { apiKey { id } } }');
    const response = await server.fetch(`/graphql?query=${query}`, { headers });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ data: { viewer: { apiKey: { id: apiKey.id } } } });
  });

  test('a signed-in browser session is accepted for the queries of a portal', async () => {
    const { server, owner } = await aKey();
    const browser = { cookie: owner.cookie, origin: publicUrl };
    expect(await ask(server, browser, '{ viewer { user { id } } }')).toEqual({
      status: 200,
      body: { data: { viewer: { user: { id: owner.id } } } },
      headers: {},
    });
  });

  test('a request with the key headers and a session cookie is authenticated as the key', async () => {
    const { server, owner, apiKey, headers } = await aKey();
    const both = { ...headers, cookie: owner.cookie, origin: publicUrl };
    expect(await ask(server, both, '{ viewer { kind apiKey { id } user { id } } }')).toEqual({
      status: 200,
      body: { data: { viewer: { kind: 'API_KEY', apiKey: { id: apiKey.id }, user: null } } },
      headers: {},
    });
  });
});

describe('Permissions', () => {
  test('any signed-in team member can read, and so can a key', async () => {
    const { server, owner, workspaceId, apiKey, secret, headers } = await aKey();
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const seen = [{ id: apiKey.id, name: 'Production backend', preview: secret.slice(-4), status: 'ACTIVE' }];
    expect(await keysOf(member.client, workspaceId)).toEqual(seen);
    expect(await keysOf(server.anonymous.with(headers))).toEqual(seen);
    expect(await creditsOf(member.client, workspaceId)).toEqual({ balance: 0, held: 0, available: 0 });
  });

  test('mutating routes require settings:manage in sessions: a MEMBER without it cannot change, revoke or delete keys', async () => {
    const { server, owner, workspaceId, apiKey, credential } = await aKey();
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    const refusal = {
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
      permission: 'settings:manage',
      message: 'This needs the permission settings:manage.',
    };
    expect(await updateApiKey(member.client, { apiKeyId: apiKey.id, enabled: false })).toEqual(refusal);
    expect(await askToRevoke(member.client, apiKey.id)).toEqual(refusal);
    expect(await deleteApiKey(member.client, apiKey.id)).toEqual(refusal);
    expect(await verify(server, credential)).toEqual(allowed(apiKey, workspaceId));
  });

  test('a MEMBER with settings:manage can change, revoke and delete keys', async () => {
    const { server, owner, workspaceId, apiKey } = await aKey();
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    await updateMember(owner.client, { memberId: member.memberId, permissions: ['settings:manage'] });
    expect(await updateApiKey(member.client, { apiKeyId: apiKey.id, enabled: false })).toEqual({
      __typename: 'UpdateApiKeyPayload',
      apiKey: { id: apiKey.id, name: 'Production backend', status: 'DISABLED', allowedOrigins: [] },
    });
    expect(await askToRevoke(member.client, apiKey.id)).toEqual({
      __typename: 'RevokeApiKeyPayload',
      apiKey: { id: apiKey.id, status: 'REVOKED' },
    });
    expect(await deleteApiKey(member.client, apiKey.id)).toEqual({
      __typename: 'DeleteApiKeyPayload',
      deletedApiKeyId: apiKey.id,
    });
  });

  test('a key is accepted by reading and mutating routes of its team', async () => {
    const { server, workspaceId, apiKey, credential } = await aKey();
    expect(await verify(server, credential, { requires: ['payment_link:read', 'payment_link:manage'] })).toEqual(
      allowed(apiKey, workspaceId),
    );
  });
});

describe('Rotation and revocation', () => {
  test('a new key and the old one are both valid until the old one is disabled', async () => {
    const { server, owner, workspaceId, apiKey, credential, headers } = await aKey();
    const { apiKey: nextKey, secret } = await createApiKey(owner.client, { name: 'Production backend 2', workspaceId });
    const next = pairOf(nextKey.keyId, secret);
    expect(await verify(server, credential)).toEqual(allowed(apiKey, workspaceId));
    expect(await verify(server, next.credential)).toEqual(allowed(nextKey, workspaceId));

    expect(await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: false })).toEqual({
      __typename: 'UpdateApiKeyPayload',
      apiKey: { id: apiKey.id, name: 'Production backend', status: 'DISABLED', allowedOrigins: [] },
    });
    expect(await verify(server, credential)).toEqual(refused('DISABLED', invalid, known(apiKey, workspaceId)));
    expect(await ask(server, headers)).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
    expect(await verify(server, next.credential)).toEqual(allowed(nextKey, workspaceId));
  });

  test('a disabled key is valid again when it is enabled', async () => {
    const { server, owner, workspaceId, apiKey, credential } = await aKey();
    await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: false });
    await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: true });
    expect(await verify(server, credential)).toEqual(allowed(apiKey, workspaceId));
  });

  test('a deleted key is refused and removed from every list', async () => {
    const { server, owner, workspaceId, apiKey, credential, headers } = await aKey();
    expect(await deleteApiKey(owner.client, apiKey.id)).toEqual({
      __typename: 'DeleteApiKeyPayload',
      deletedApiKeyId: apiKey.id,
    });
    expect(await verify(server, credential)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, headers)).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
    expect(await keysOf(owner.client, workspaceId)).toEqual([]);
    expect(await keyOf(owner.client, apiKey.id)).toBeNull();
  });

  test('a revoked key is refused', async () => {
    const { server, owner, apiKey, credential, headers } = await aKey();
    await revokeApiKey(owner.client, apiKey.id);
    expect(await verify(server, credential)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, headers)).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });
});

describe('Authentication errors', () => {
  test('401 Unauthorized: the request has no session and no key pair', async () => {
    const server = await aServer({ products: ['makepay'] });
    expect(await verify(server, { pair: { keyId: '', secret: '' } })).toEqual(
      refused('MISSING_CREDENTIAL', unauthorized),
    );
    expect(await ask(server, {}, '{ credits { balance } }')).toEqual(
      fieldRefusedOverHttp('UNAUTHENTICATED', unauthorized, 'credits'),
    );
  });

  test('401 Unauthorized: the request has only one half of a key pair', async () => {
    const { server, apiKey, secret } = await aKey();
    const keyId = apiKey.keyId ?? '';
    expect(await verify(server, { pair: { keyId, secret: '' } })).toEqual(refused('MISSING_CREDENTIAL', unauthorized));
    expect(await verify(server, { pair: { keyId: '', secret } })).toEqual(refused('MISSING_CREDENTIAL', unauthorized));
    const refusal = refusedOverHttp('UNAUTHENTICATED', unauthorized);
    expect(await ask(server, { 'x-makecrypto-key-id': keyId })).toEqual(refusal);
    expect(await ask(server, { 'x-makecrypto-key-secret': secret })).toEqual(refusal);
  });

  const wrong: readonly [name: string, change: (keyId: string, secret: string) => { keyId: string; secret: string }][] =
    [
      ['an unknown key ID', (_keyId, secret) => ({ keyId: anUnknownKeyId(), secret })],
      ['another secret', (keyId) => ({ keyId, secret: anUnknownSecret() })],
      ['a malformed key ID', (keyId, secret) => ({ keyId: keyId.slice(0, -1), secret })],
      ['a malformed secret', (keyId, secret) => ({ keyId, secret: `${secret}0` })],
      ['both halves changed for each other', (keyId, secret) => ({ keyId: secret, secret: keyId })],
    ];

  test.each(wrong)('401 Invalid MakePay API credentials: %s', async (_name, change) => {
    const { server, apiKey, secret } = await aKey();
    const pair = change(apiKey.keyId ?? '', secret);
    expect(await verify(server, { pair })).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, pairOf(pair.keyId, pair.secret).headers)).toEqual(
      refusedOverHttp('UNAUTHENTICATED', invalid),
    );
  });

  test('401 Invalid MakePay API credentials: the key ID of one key and the secret of another', async () => {
    const one = await aKey();
    const other = await aKey();
    const mixed = pairOf(one.apiKey.keyId, other.secret);
    expect(await verify(one.server, mixed.credential)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(one.server, mixed.headers)).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });

  test('401 Invalid MakePay API credentials: a secret without its key ID, sent as a Bearer token', async () => {
    const { server, secret } = await aKey();
    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });

  test('a key is accepted for MakePay and refused for any other product', async () => {
    const server = await aServer({ products: allProducts });
    const owner = await aPerson(server);
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'backend', product: 'makepay' });
    const { credential } = pairOf(apiKey.keyId, secret);
    expect(await verify(server, credential, { product: 'makepay' })).toEqual(
      allowed(apiKey, owner.personalWorkspaceId),
    );
    expect(await verify(server, credential, { product: 'masko' })).toMatchObject({
      valid: false,
      code: 'INVALID_CREDENTIAL',
      apiKey: null,
      workspace: null,
    });
  });

  test('a signed-in user who cannot access the team receives NotFoundError', async () => {
    const { server, workspaceId } = await aKey();
    const stranger = await aPerson(server);
    expect(await askForKey(stranger.client, { name: 'Production backend', workspaceId })).toEqual({
      __typename: 'NotFoundError',
      code: 'NOT_FOUND',
      field: 'input.workspaceId',
      message: 'Workspace not found.',
    });
    expect(await creditsOf(stranger.client, workspaceId)).toBeNull();
  });

  test('404 API key not found: the selected key does not exist for the team', async () => {
    const { owner, apiKey } = await aKey();
    const stranger = await aKey();
    const notFound = {
      __typename: 'NotFoundError',
      code: 'NOT_FOUND',
      field: 'input.apiKeyId',
      message: 'API key not found',
    };
    for (const apiKeyId of [stranger.apiKey.id, 'key_that_never_was']) {
      expect(await updateApiKey(owner.client, { apiKeyId, enabled: false })).toEqual(notFound);
      expect(await askToRevoke(owner.client, apiKeyId)).toEqual(notFound);
      expect(await deleteApiKey(owner.client, apiKeyId)).toEqual(notFound);
    }
    await deleteApiKey(owner.client, apiKey.id);
    expect(await askToRevoke(owner.client, apiKey.id)).toEqual(notFound);
  });
});
