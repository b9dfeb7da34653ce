import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  aMember,
  anOrganization,
  aPerson,
  aWorkspaceWith,
  charge,
  createApiKey,
  revokeApiKey,
  verify,
} from '../factories.js';
import { allProducts, aServer } from '../harness.js';
import { allowed, fieldRefusedOverHttp, refused, refusedOverHttp } from './answers.js';
import {
  ask,
  askForKey,
  askToRevoke,
  bearer,
  deleteApiKey,
  keyOf,
  keysOf,
  productsOf,
  rotateSigningSecret,
  suspendWorkspace,
  updateApiKey,
} from './calls.js';

// Not testable on a key server: the Makra client for Python and its parameter, and where customers store a
// key (environment variables, .env files, secrets managers, CI). Customers contact the operator by mail; the
// tests show what the operator then does.

const missing = { status: 401, code: 'missing_credential', message: 'Send an API key.' };
const invalid = { status: 401, code: 'invalid_credential', message: 'The API key is not valid.' };

/** An unknown key in the format of this server’s Makra keys. Hex is a subset of base62. */
const anUnknownKey = () => randomBytes(22).toString('hex').slice(0, 43);

/** An account in the beta, with a key that the operator created. */
async function anAccount(kind: 'PERSONAL' | 'ORGANIZATION' = 'PERSONAL') {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makra', kind });
  return { server, owner, workspaceId, ...(await createApiKey(server.backend, { name: 'beta', workspaceId })) };
}

describe('Authentication', () => {
  test('a request with the key is accepted', async () => {
    const { server, workspaceId, apiKey, secret } = await anAccount();
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
    expect(await ask(server, { Authorization: `Bearer ${secret}` })).toEqual({
      status: 200,
      body: { data: { viewer: { apiKey: { id: apiKey.id } } } },
      headers: {},
    });
  });

  test('a request without a key is refused', async () => {
    const server = await aServer({ products: ['makra'] });
    expect(await verify(server, '')).toEqual(refused('MISSING_CREDENTIAL', missing));
    expect(await ask(server, {}, '{ credits { balance } }')).toEqual(
      fieldRefusedOverHttp('UNAUTHENTICATED', missing, 'credits'),
    );
  });

  test.each([
    ['unknown', anUnknownKey()],
    ['cut short', anUnknownKey().slice(1)],
    ['with a character too many', `${anUnknownKey()}0`],
    ['the placeholder of the document', 'your-api-key'],
  ])('an invalid key is refused: %s', async (_name, key) => {
    const server = await aServer({ products: ['makra'] });
    expect(await verify(server, key)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, bearer(key))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });
});

describe('Getting an API key', () => {
  test('the products query returns that Makra keys are opaque, without permissions, prices or limits', async () => {
    expect(await productsOf(await aServer({ products: ['makra'] }))).toEqual([
      {
        slug: 'makra',
        headers: ['authorization'],
        keyFormats: [{ environment: 'LIVE', prefix: '', length: 43, alphabet: 'base62', checksum: false }],
        permissions: [],
        features: [],
        prices: [],
        freeCredits: 0,
        rateLimits: [],
        activeKeysMax: null,
        signingSecrets: false,
      },
    ]);
  });

  test('keys are not self-serve: a person cannot create one in their personal account', async () => {
    const { owner } = await aWorkspaceWith({ product: 'makra' });
    expect(await askForKey(owner.client, { name: 'mine' })).toEqual({
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
      permission: 'apiKey:create',
      message: 'Keys of makra are issued by the operator.',
    });
    expect(await keysOf(owner.client)).toEqual([]);
  });

  test.each(['OWNER', 'ADMIN', 'MEMBER'] as const)(
    'keys are not self-serve: %s of an organization cannot create one',
    async (role) => {
      const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makra', kind: 'ORGANIZATION' });
      const person = await aMember(server, owner, workspaceId, role);
      expect(await askForKey(person.client, { name: 'ours', workspaceId })).toEqual({
        __typename: 'ForbiddenError',
        code: 'FORBIDDEN',
        permission: 'apiKey:create',
        message: 'Keys of makra are issued by the operator.',
      });
    },
  );

  test.each(['PERSONAL', 'ORGANIZATION'] as const)(
    'the operator creates a key, which belongs to the account: %s',
    async (kind) => {
      const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makra', kind });
      expect(await askForKey(server.backend, { name: 'beta', workspaceId })).toEqual({
        __typename: 'CreateApiKeyPayload',
        apiKey: { name: 'beta', product: 'makra', createdBy: null, workspace: { id: workspaceId } },
      });
      expect(await keysOf(owner.client, workspaceId)).toEqual([
        { id: expect.any(String), name: 'beta', preview: expect.stringMatching(/^\w{4}$/), status: 'ACTIVE' },
      ]);
    },
  );

  test('a key is opaque, and is created without signing secret or free credits', async () => {
    const { apiKey, secret, signingSecret, freeCreditsRemaining } = await anAccount();
    expect(secret).toMatch(/^[0-9A-Za-z]{43}$/);
    expect({ apiKey, signingSecret, freeCreditsRemaining }).toEqual({
      apiKey: {
        id: expect.any(String),
        keyId: null,
        preview: secret.slice(-4),
        status: 'ACTIVE',
        permissions: [],
        allowedOrigins: [],
        environment: 'LIVE',
        product: 'makra',
      },
      signingSecret: null,
      freeCreditsRemaining: 0,
    });
  });

  test('a key can read its own account and no other', async () => {
    const { server, owner, workspaceId, secret } = await anAccount();
    const otherId = await anOrganization(owner);
    const query = `{ own: workspace(id: "${workspaceId}") { id } other: workspace(id: "${otherId}") { id } }`;
    expect(await ask(server, bearer(secret), query)).toEqual({
      status: 200,
      body: { data: { own: { id: workspaceId }, other: null } },
      headers: {},
    });
  });

  test('a key is accepted for all APIs, because the product has no permissions', async () => {
    const { server, workspaceId, apiKey, secret } = await anAccount();
    expect(await verify(server, secret, { requires: [], product: 'makra' })).toEqual(allowed(apiKey, workspaceId));
  });

  test('a charge is refused, because the document names no price', async () => {
    const { server, secret } = await anAccount();
    await expect(charge(server, secret, { action: 'solve' })).rejects.toThrow(
      'makra has no action of this name. It has no prices.',
    );
  });
});

describe('Managing secrets in different environments', () => {
  test('keys of several environments have names and are revoked separately', async () => {
    const { server, owner, workspaceId, secret } = await anAccount();
    const ci = await createApiKey(server.backend, { name: 'CI', workspaceId });
    expect((await keysOf(owner.client)).map(({ name }) => name)).toEqual(['CI', 'beta']);
    await revokeApiKey(server.backend, ci.apiKey.id);
    expect(await verify(server, ci.secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await verify(server, secret)).toMatchObject({ valid: true });
  });

  test('the log of this server never contains a key', async () => {
    const { server, secret } = await anAccount();
    await verify(server, secret);
    await ask(server, bearer(secret));
    await ask(server, bearer(`${secret}x`));
    expect(server.logged()).not.toContain(secret);
  });
});

describe('If your key is compromised', () => {
  test('the operator rotates the key: the next request with the exposed key is refused, and the new one is valid', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await anAccount();
    const next = await createApiKey(server.backend, { name: 'beta, rotated', workspaceId });
    expect(await revokeApiKey(server.backend, apiKey.id, 'exposed')).toEqual({ id: apiKey.id, status: 'REVOKED' });

    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
    expect(await verify(server, next.secret)).toEqual(allowed(next.apiKey, workspaceId));
    expect(await keyOf(owner.client, apiKey.id)).toMatchObject({ status: 'REVOKED', revocationReason: 'exposed' });
  });

  test('the operator can disable the exposed key before creating the new one', async () => {
    const { server, workspaceId, apiKey, secret } = await anAccount();
    await updateApiKey(server.backend, { apiKeyId: apiKey.id, enabled: false });
    const disabled = { status: 401, code: 'key_disabled', message: 'The API key is disabled.' };
    expect(await verify(server, secret)).toEqual(
      refused('DISABLED', disabled, { apiKey: { id: apiKey.id, name: 'beta' }, workspace: { id: workspaceId } }),
    );
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', disabled));
  });

  test('an owner cannot rotate, disable, revoke or delete a key and has to contact the operator', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await anAccount('ORGANIZATION');
    const refusal = (permission: string) => ({
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
      permission,
      message: 'Keys of makra are managed by the operator.',
    });
    expect(await askToRevoke(owner.client, apiKey.id)).toEqual(refusal('apiKey:revoke'));
    expect(await deleteApiKey(owner.client, apiKey.id)).toEqual(refusal('apiKey:delete'));
    expect(await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: false })).toEqual(refusal('apiKey:update'));
    expect(await rotateSigningSecret(owner.client, apiKey.id)).toEqual(refusal('signingSecret:rotate'));
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
  });
});

describe('several products on one server', () => {
  test('an opaque key is not accepted as a key of another product, as a session or as a service token', async () => {
    const server = await aServer({ products: allProducts });
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(server.backend, { name: 'beta', workspaceId, product: 'makra' });
    expect(await verify(server, secret, { product: 'makra' })).toEqual(allowed(apiKey, workspaceId));
    expect(await verify(server, secret, { product: 'masko' })).toMatchObject({
      valid: false,
      code: 'INVALID_CREDENTIAL',
      apiKey: null,
      workspace: null,
    });
    expect(await ask(server, bearer(secret), '{ viewer { kind apiKey { id product } user { id } } }')).toEqual({
      status: 200,
      body: { data: { viewer: { kind: 'API_KEY', apiKey: { id: apiKey.id, product: 'makra' }, user: null } } },
      headers: {},
    });
  });

  test('a key of a suspended workspace is refused with workspace_suspended', async () => {
    const { server, workspaceId, apiKey, secret } = await anAccount();
    await suspendWorkspace(server, workspaceId);
    const suspended = { status: 403, code: 'workspace_suspended', message: 'The workspace is suspended.' };
    expect(await verify(server, secret)).toEqual(
      refused('WORKSPACE_SUSPENDED', suspended, {
        apiKey: { id: apiKey.id, name: 'beta' },
        workspace: { id: workspaceId },
      }),
    );
  });
});
