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

// Statements of the document that a key server cannot show: the Makra client for Python and its parameter, and where customers keep
// a key (environment variables, .env files, secrets managers, CI), since both are on the customer's machines. Contacting
// the operator happens by mail; what the operator then does is shown.

const missing = { status: 401, code: 'missing_credential', message: 'Send an API key.' };
const invalid = { status: 401, code: 'invalid_credential', message: 'The API key is not valid.' };

/** A key of the form that keys have here and that nobody was given: base62 has all that hex has. */
const anUnknownKey = () => randomBytes(22).toString('hex').slice(0, 43);

/** An account that was let into the beta: its key was made by the operator. */
async function anAccount(kind: 'PERSONAL' | 'ORGANIZATION' = 'PERSONAL') {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makra', kind });
  return { server, owner, workspaceId, ...(await createApiKey(server.backend, { name: 'beta', workspaceId })) };
}

describe('Authentication', () => {
  test('a request with the key is let through', async () => {
    const { server, workspaceId, apiKey, secret } = await anAccount();
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
    expect(await ask(server, { Authorization: `Bearer ${secret}` })).toEqual({
      status: 200,
      body: { data: { viewer: { apiKey: { id: apiKey.id } } } },
      headers: {},
    });
  });

  test('all requests are: one without a key is refused', async () => {
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
  ])('a key that is none is refused: %s', async (_name, key) => {
    const server = await aServer({ products: ['makra'] });
    expect(await verify(server, key)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, bearer(key))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
  });
});

describe('Getting an API key', () => {
  test('the server tells everybody what a key of Makra is: opaque, for everything, without price or limit', async () => {
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

  test('keys are not self-serve: a person gets none in their own account', async () => {
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
    'keys are not self-serve: %s of an organization gets none',
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
    'the operator grants a key, which is tied to the account: %s',
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

  test('a key is opaque, and comes with nothing else', async () => {
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

  test('a key sees the account that it is tied to, and no other', async () => {
    const { server, owner, workspaceId, secret } = await anAccount();
    const otherId = await anOrganization(owner);
    const query = `{ own: workspace(id: "${workspaceId}") { id } other: workspace(id: "${otherId}") { id } }`;
    expect(await ask(server, bearer(secret), query)).toEqual({
      status: 200,
      body: { data: { own: { id: workspaceId }, other: null } },
      headers: {},
    });
  });

  test('a key opens all APIs: there is nothing that one could hold and another not', async () => {
    const { server, workspaceId, apiKey, secret } = await anAccount();
    expect(await verify(server, secret, { requires: [], product: 'makra' })).toEqual(allowed(apiKey, workspaceId));
  });

  test('nothing is charged: the document names no price', async () => {
    const { server, secret } = await anAccount();
    await expect(charge(server, secret, { action: 'solve' })).rejects.toThrow(
      'makra has no action of this name. It has no prices.',
    );
  });
});

describe('Managing secrets in different environments', () => {
  test('keys of several environments are told apart by their names, and end one by one', async () => {
    const { server, owner, workspaceId, secret } = await anAccount();
    const ci = await createApiKey(server.backend, { name: 'CI', workspaceId });
    expect((await keysOf(owner.client)).map(({ name }) => name)).toEqual(['CI', 'beta']);
    await revokeApiKey(server.backend, ci.apiKey.id);
    expect(await verify(server, ci.secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await verify(server, secret)).toMatchObject({ valid: true });
  });

  test('the log of this server never shows a key', async () => {
    const { server, secret } = await anAccount();
    await verify(server, secret);
    await ask(server, bearer(secret));
    await ask(server, bearer(`${secret}x`));
    expect(server.logged()).not.toContain(secret);
  });
});

describe('If your key is compromised', () => {
  test('the operator rotates it: the exposed key is refused from the next request on, and a new one works', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await anAccount();
    const next = await createApiKey(server.backend, { name: 'beta, rotated', workspaceId });
    expect(await revokeApiKey(server.backend, apiKey.id, 'exposed')).toEqual({ id: apiKey.id, status: 'REVOKED' });

    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalid));
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalid));
    expect(await verify(server, next.secret)).toEqual(allowed(next.apiKey, workspaceId));
    expect(await keyOf(owner.client, apiKey.id)).toMatchObject({ status: 'REVOKED', revocationReason: 'exposed' });
  });

  test('until the new key is made, the operator can switch the exposed one off', async () => {
    const { server, workspaceId, apiKey, secret } = await anAccount();
    await updateApiKey(server.backend, { apiKeyId: apiKey.id, enabled: false });
    const disabled = { status: 401, code: 'key_disabled', message: 'The API key is disabled.' };
    expect(await verify(server, secret)).toEqual(
      refused('DISABLED', disabled, { apiKey: { id: apiKey.id, name: 'beta' }, workspace: { id: workspaceId } }),
    );
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', disabled));
  });

  test('customers contact the operator: not even an owner rotates, switches off, revokes or deletes a key', async () => {
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

describe('beside other products on one server', () => {
  test('an opaque key is taken for no other product’s key, for no session and for no service', async () => {
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

  test('a workspace that is suspended is told so', async () => {
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
