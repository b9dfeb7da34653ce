import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  aMember,
  anOrganization,
  aWorkspaceWith,
  charge,
  createApiKey,
  grantCredits,
  revokeApiKey,
  verify,
} from '../factories.js';
import { aServer, expectMember } from '../harness.js';
import { allowed, charged, failure, fieldRefusedOverHttp, refused, refusedOverHttp } from './answers.js';
import {
  ask,
  askForKey,
  askToRevoke,
  bearer,
  creditsOf,
  keyOf,
  keysOf,
  ledgerOf,
  productsOf,
  rotateSigningSecret,
  updateApiKey,
} from './calls.js';

// Not testable on a key server: where a customer stores a key (environment variables, a secrets manager,
// not in a browser); the dashboard, which is a client of this API; the signature of a webhook, since the
// product sends the webhooks.

const invalidApiKey = {
  status: 401,
  code: 'invalid_api_key',
  message: 'The API key is missing, malformed or revoked.',
};
const internalRoute = { status: 403, code: null, message: 'A public API key may not call this route.' };

/** An unknown key in the document’s format. */
const anUnknownKey = () => `mk_pub_${randomBytes(16).toString('hex')}`;

async function aKey() {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makistry' });
  return { server, owner, workspaceId, ...(await createApiKey(owner.client, { name: 'CAD robot' })) };
}

describe('API Keys', () => {
  test('the products query returns the format and the features of Makistry keys without a credential', async () => {
    expect(await productsOf(await aServer({ products: ['makistry'] }))).toEqual([
      {
        slug: 'makistry',
        headers: ['authorization'],
        keyFormats: [{ environment: 'LIVE', prefix: 'mk_pub_', length: 32, alphabet: 'hex', checksum: false }],
        permissions: [
          { name: 'job:create', grantable: true, feature: null },
          { name: 'job:read', grantable: true, feature: null },
          { name: 'internal:call', grantable: false, feature: null },
        ],
        features: [],
        prices: [{ action: 'text_to_cad', credits: 1, unit: 'job' }],
        freeCredits: 50,
        rateLimits: [],
        activeKeysMax: null,
        signingSecrets: true,
      },
    ]);
  });

  test('a key is mk_pub_ and 32 hex characters', async () => {
    expect((await aKey()).secret).toMatch(/^mk_pub_[0-9a-f]{32}$/);
  });

  test('a request with the key as its Bearer token is accepted', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey();
    expect(await verify(server, secret, { requires: ['job:create', 'job:read'] })).toEqual(
      allowed(apiKey, workspaceId),
    );
  });

  test('requests with the key are billed to the account that owns it, whichever client sends them', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    expect(await charge(server, secret, { action: 'text_to_cad' })).toEqual(
      allowed(apiKey, workspaceId, { charge: charged(1, 49) }),
    );
    expect(await creditsOf(owner.client)).toEqual({ balance: 49, held: 0, available: 49 });
  });

  test('an exposed key can be revoked and replaced by a new one', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    expect(await revokeApiKey(owner.client, apiKey.id, 'exposed')).toEqual({ id: apiKey.id, status: 'REVOKED' });
    const next = await createApiKey(owner.client, { name: 'CAD robot' });
    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalidApiKey));
    expect(await verify(server, next.secret)).toEqual(allowed(next.apiKey, workspaceId));
  });
});

describe('Creating a Key', () => {
  test('creating a key returns the key, its signing secret, both previews, the name, the time and the credits', async () => {
    const before = Date.now();
    const { owner, apiKey, secret, signingSecret, freeCreditsRemaining } = await aKey();
    expect(signingSecret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(freeCreditsRemaining).toBe(50);
    const seen = await keyOf(owner.client, apiKey.id);
    expect(seen).toEqual({
      id: apiKey.id,
      name: 'CAD robot',
      preview: secret.slice(-4),
      signingSecretPreview: signingSecret?.slice(-4),
      signingSecretRotatedAt: seen?.createdAt,
      status: 'ACTIVE',
      permissions: ['job:create', 'job:read'],
      // ISO 8601.
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      lastUsedAt: null,
      revokedAt: null,
      revocationReason: null,
    });
    expect(Date.parse(seen?.createdAt ?? '')).toBeGreaterThanOrEqual(before);
  });

  test('the key and the signing secret are returned once and cannot be read again', async () => {
    const { server, owner, apiKey, secret, signingSecret } = await aKey();
    const keys = JSON.stringify(await keysOf(owner.client)) + JSON.stringify(await keyOf(owner.client, apiKey.id));
    expect(keys).not.toContain(secret);
    expect(keys).not.toContain(signingSecret);
    const where = { where: { apiKeyId: apiKey.id } };
    const stored = [
      await server.services.db.keySecret.findMany(where),
      await server.services.db.signingSecret.findMany(where),
    ];
    const bytes = stored.flat().flatMap((row) => Object.values(row).filter((value) => value instanceof Uint8Array));
    expect(bytes).toHaveLength(2);
    for (const value of bytes) {
      expect(Buffer.from(value).toString('latin1')).not.toContain(secret);
      expect(Buffer.from(value).toString('latin1')).not.toContain(signingSecret);
    }
  });

  test('the first key of an account grants free credits, and later keys do not', async () => {
    const { owner, workspaceId } = await aKey();
    expect((await createApiKey(owner.client, { name: 'second' })).freeCreditsRemaining).toBe(0);
    expect(await creditsOf(owner.client)).toEqual({ balance: 50, held: 0, available: 50 });
    expect(await ledgerOf(owner.client, workspaceId)).toEqual([
      { kind: 'GRANT', credits: 50, balanceAfter: 50, action: null, apiKeyId: expect.any(String) },
    ]);
  });

  test('every account has its own free credits', async () => {
    const { owner } = await aKey();
    const workspaceId = await anOrganization(owner);
    expect((await createApiKey(owner.client, { name: 'team', workspaceId })).freeCreditsRemaining).toBe(50);
    expect(await creditsOf(owner.client)).toEqual({ balance: 50, held: 0, available: 50 });
    expect(await creditsOf(owner.client, workspaceId)).toEqual({ balance: 50, held: 0, available: 50 });
  });

  test.each(['OWNER', 'ADMIN'] as const)(
    'a customer who is %s of an organization can create its keys',
    async (role) => {
      const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makistry', kind: 'ORGANIZATION' });
      const person = await aMember(server, owner, workspaceId, role);
      expect(await askForKey(person.client, { name: 'team', workspaceId })).toEqual({
        __typename: 'CreateApiKeyPayload',
        apiKey: { name: 'team', product: 'makistry', createdBy: { id: person.id }, workspace: { id: workspaceId } },
      });
    },
  );

  test('a customer who is MEMBER of an organization cannot create its keys', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'makistry', kind: 'ORGANIZATION' });
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    expect(await askForKey(member.client, { name: 'team', workspaceId })).toEqual({
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
      permission: 'apiKey:create',
      message: 'You may not create keys of makistry in this workspace.',
    });
  });
});

describe('Rotating the Signing Secret', () => {
  test('the key can request a new signing secret, which is returned with the time of the rotation', async () => {
    const { server, apiKey, secret, signingSecret } = await aKey();
    const rotated = await rotateSigningSecret(server.anonymous.with(bearer(secret)), apiKey.id);
    const payload = expectMember(rotated, 'RotateSigningSecretPayload');
    expect(payload).toEqual({
      __typename: 'RotateSigningSecretPayload',
      signingSecret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
      signingSecretRotatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      apiKey: {
        id: apiKey.id,
        preview: secret.slice(-4),
        status: 'ACTIVE',
        signingSecretPreview: payload.signingSecret.slice(-4),
        signingSecretRotatedAt: payload.signingSecretRotatedAt,
      },
    });
    expect(payload.signingSecret).not.toBe(signingSecret);
  });

  test('the API key stays valid after the rotation', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey();
    await rotateSigningSecret(server.anonymous.with(bearer(secret)), apiKey.id);
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId));
  });

  test('webhooks are signed with the new secret immediately, and no longer with the old one', async () => {
    const { server, owner, apiKey } = await aKey();
    const rotated = await rotateSigningSecret(owner.client, apiKey.id);
    const { signingSecret } = expectMember(rotated, 'RotateSigningSecretPayload');
    const { db, cipher } = server.services;
    const signing = await db.signingSecret.findMany({ where: { apiKeyId: apiKey.id, retiresAt: null } });
    expect(signing.map(({ ciphertext, id }) => cipher.open(ciphertext, id))).toEqual([signingSecret]);
    const retired = await db.signingSecret.findMany({ where: { apiKeyId: apiKey.id, retiresAt: { not: null } } });
    expect(retired.map(({ retiresAt }) => retiresAt)).toEqual([signing[0]?.createdAt]);
  });

  test('a key can rotate only its own signing secret', async () => {
    const { server, owner, secret } = await aKey();
    const sibling = await createApiKey(owner.client, { name: 'sibling' });
    expect(await rotateSigningSecret(server.anonymous.with(bearer(secret)), sibling.apiKey.id)).toEqual({
      __typename: 'NotFoundError',
      code: 'NOT_FOUND',
      field: 'input.apiKeyId',
      message: 'API key not found.',
    });
  });
});

describe('Revoking a Key', () => {
  test('requests with a revoked key are refused with 401 invalid_api_key', async () => {
    const { server, owner, apiKey, secret } = await aKey();
    await revokeApiKey(owner.client, apiKey.id);
    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalidApiKey));
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalidApiKey));
  });

  test('a revocation is permanent: the key cannot be enabled, and revoking it again changes nothing', async () => {
    const { server, owner, apiKey, secret } = await aKey();
    await revokeApiKey(owner.client, apiKey.id);
    expect(await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: true })).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The key is revoked. Create another one.',
    });
    const revokedAt = (await keyOf(owner.client, apiKey.id))?.revokedAt;
    expect(await askToRevoke(owner.client, apiKey.id)).toEqual({
      __typename: 'RevokeApiKeyPayload',
      apiKey: { id: apiKey.id, status: 'REVOKED' },
    });
    expect((await keyOf(owner.client, apiKey.id))?.revokedAt).toBe(revokedAt);
    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', invalidApiKey));
  });
});

describe('Idempotency', () => {
  test('a request retried with the same idempotency key creates one job and is charged once', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    const idempotencyKey = randomUUID();
    const first = await charge(server, secret, { action: 'text_to_cad', idempotencyKey });
    expect(first).toEqual(allowed(apiKey, workspaceId, { charge: charged(1, 49) }));
    for (let attempt = 1; attempt < 3; attempt += 1) {
      expect(await charge(server, secret, { action: 'text_to_cad', idempotencyKey })).toEqual({
        ...first,
        charge: { ...first.charge, replayed: true },
      });
    }
    expect(await creditsOf(owner.client)).toEqual({ balance: 49, held: 0, available: 49 });
    expect(await ledgerOf(owner.client, workspaceId)).toEqual([
      { kind: 'CHARGE', credits: -1, balanceAfter: 49, action: 'text_to_cad', apiKeyId: apiKey.id },
      { kind: 'GRANT', credits: 50, balanceAfter: 50, action: null, apiKeyId: apiKey.id },
    ]);
  });

  test('concurrent retries create one job', async () => {
    const { server, owner, secret } = await aKey();
    const idempotencyKey = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => charge(server, secret, { action: 'text_to_cad', idempotencyKey })),
    );
    expect(new Set(answers.map((answer) => answer.charge?.id)).size).toBe(1);
    expect(answers.filter((answer) => answer.charge?.replayed === false)).toHaveLength(1);
    expect(await creditsOf(owner.client)).toEqual({ balance: 49, held: 0, available: 49 });
  });

  test.each([
    ['another quantity', { action: 'text_to_cad', quantity: 7 }],
    ['an action that does not exist', { action: 'cad_to_text' }],
    ['a hold', { action: 'text_to_cad', hold: true }],
  ])('a retry returns the original job, even if its body differs: %s', async (_name, body) => {
    const { server, owner, secret } = await aKey();
    const idempotencyKey = randomUUID();
    const first = await charge(server, secret, { action: 'text_to_cad', idempotencyKey });
    expect(await charge(server, secret, { ...body, idempotencyKey })).toEqual({
      ...first,
      charge: { ...first.charge, replayed: true },
    });
    expect(await creditsOf(owner.client)).toEqual({ balance: 49, held: 0, available: 49 });
  });

  test('a replay takes no credits, even if the balance is zero', async () => {
    const { server, owner, secret } = await aKey();
    const idempotencyKey = randomUUID();
    const first = await charge(server, secret, { action: 'text_to_cad', quantity: 50, idempotencyKey });
    expect(first.charge).toEqual(charged(50, 0));
    expect(await charge(server, secret, { action: 'text_to_cad', quantity: 50, idempotencyKey })).toEqual({
      ...first,
      charge: { ...first.charge, replayed: true },
    });
    expect(await creditsOf(owner.client)).toEqual({ balance: 0, held: 0, available: 0 });
  });

  test('a new UUID creates a new job', async () => {
    const { server, secret } = await aKey();
    const one = await charge(server, secret, { action: 'text_to_cad', idempotencyKey: randomUUID() });
    const other = await charge(server, secret, { action: 'text_to_cad', idempotencyKey: randomUUID() });
    expect(one.charge).toEqual(charged(1, 49));
    expect(other.charge).toEqual(charged(1, 48));
    expect(other.charge?.id).not.toBe(one.charge?.id);
  });

  test('a retry with a replacement of the revoked key returns the original job', async () => {
    const { server, owner, apiKey, secret } = await aKey();
    const idempotencyKey = randomUUID();
    const first = await charge(server, secret, { action: 'text_to_cad', idempotencyKey });
    await revokeApiKey(owner.client, apiKey.id);
    const next = await createApiKey(owner.client, { name: 'replacement' });
    const retried = await charge(server, next.secret, { action: 'text_to_cad', idempotencyKey });
    expect(retried.charge).toEqual({ ...first.charge, replayed: true });
  });

  test('the same UUID in another account creates a separate job', async () => {
    const one = await aKey();
    const other = await aKey();
    const idempotencyKey = randomUUID();
    const first = await charge(one.server, one.secret, { action: 'text_to_cad', idempotencyKey });
    const second = await charge(other.server, other.secret, { action: 'text_to_cad', idempotencyKey });
    expect(second).toEqual(allowed(other.apiKey, other.workspaceId, { charge: charged(1, 49) }));
    expect(second.charge?.id).not.toBe(first.charge?.id);
  });

  test('a job refused for insufficient credits is charged when it is retried after a top-up', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey();
    const request = { action: 'text_to_cad', quantity: 60, idempotencyKey: randomUUID() };
    expect(await charge(server, secret, request)).toMatchObject({ valid: false, code: 'INSUFFICIENT_CREDITS' });
    await grantCredits(server, workspaceId, 10);
    expect(await charge(server, secret, request)).toEqual(allowed(apiKey, workspaceId, { charge: charged(60, 0) }));
  });
});

describe('Making an Authenticated Request', () => {
  test('a program sends the key in the Authorization header', async () => {
    const { server, apiKey, secret } = await aKey();
    expect(await ask(server, { Authorization: `Bearer ${secret}` })).toMatchObject({
      status: 200,
      body: { data: { viewer: { apiKey: { id: apiKey.id } } } },
    });
  });

  test('a GET with the key in the Authorization header is authenticated', async () => {
    const { server, secret } = await aKey();
    const query = encodeURIComponent('{ credits { balance } }');
    const response = await server.fetch(`/graphql?query=${query}`, { headers: { Authorization: `Bearer ${secret}` } });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ data: { credits: { balance: 50 } } });
  });
});

describe('Error Responses', () => {
  test('401 invalid_api_key: the Authorization header is missing', async () => {
    const server = await aServer({ products: ['makistry'] });
    expect(await verify(server, '')).toEqual(refused('MISSING_CREDENTIAL', invalidApiKey));
    expect(await ask(server, {}, '{ credits { balance } }')).toEqual(
      fieldRefusedOverHttp('UNAUTHENTICATED', invalidApiKey, 'credits'),
    );
  });

  test.each([
    ['another prefix', `mk_prv_${'0'.repeat(32)}`],
    ['too short', `mk_pub_${'0'.repeat(31)}`],
    ['too long', `mk_pub_${'0'.repeat(33)}`],
    ['characters that are not hex', `mk_pub_${'x'.repeat(32)}`],
    ['hex in upper case', `mk_pub_${'A'.repeat(32)}`],
    ['nothing like a key', 'YOUR_KEY'],
  ])('401 invalid_api_key: the key is malformed: %s', async (_name, malformed) => {
    const server = await aServer({ products: ['makistry'] });
    expect(await verify(server, malformed)).toEqual(refused('INVALID_CREDENTIAL', invalidApiKey));
    expect(await ask(server, bearer(malformed))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalidApiKey));
  });

  test.each([
    ['no scheme', (key: string) => key],
    ['another scheme', (key: string) => `Basic ${key}`],
    ['no token', () => 'Bearer'],
  ])('401 invalid_api_key: the Authorization header is malformed: %s', async (_name, write) => {
    const { server, secret } = await aKey();
    expect(await ask(server, { authorization: write(secret) })).toEqual(
      refusedOverHttp('UNAUTHENTICATED', invalidApiKey),
    );
  });

  test('401 invalid_api_key: the key is unknown', async () => {
    const server = await aServer({ products: ['makistry'] });
    expect(await verify(server, anUnknownKey())).toEqual(refused('INVALID_CREDENTIAL', invalidApiKey));
    expect(await ask(server, bearer(anUnknownKey()))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalidApiKey));
  });

  test('401 invalid_api_key: the key is disabled', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: false });
    expect(await verify(server, secret)).toEqual(
      refused('DISABLED', invalidApiKey, {
        apiKey: { id: apiKey.id, name: 'CAD robot' },
        workspace: { id: workspaceId },
      }),
    );
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', invalidApiKey));
  });

  test('403 without a code: a public key calls an internal route', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey();
    expect(await verify(server, secret, { requires: ['internal:call'] })).toEqual(
      refused('FORBIDDEN', internalRoute, {
        apiKey: { id: apiKey.id, name: 'CAD robot' },
        workspace: { id: workspaceId },
      }),
    );
  });

  test('a public key cannot be created with the permission of an internal route', async () => {
    const { owner } = await aKey();
    expect(await askForKey(owner.client, { name: 'sly', permissions: ['job:read', 'internal:call'] })).toEqual({
      __typename: 'ValidationError',
      code: 'BAD_USER_INPUT',
      field: 'input.permissions.1',
      message: 'Keys of makistry cannot hold this permission. Use one of: job:create, job:read.',
    });
  });

  test('FORBIDDEN: a public key calls a mutation for operators, refused with the wording of the document', async () => {
    const { server, workspaceId, secret } = await aKey();
    const grant = `mutation { grantCredits(input: { workspaceId: "${workspaceId}", credits: 1 }) { __typename } }`;
    expect(await ask(server, bearer(secret), grant)).toEqual({
      // An error of one field is returned beside the data, with status 200 and the code FORBIDDEN.
      status: 200,
      body: { data: null, errors: [failure('FORBIDDEN', internalRoute, 'grantCredits')] },
      headers: {},
    });
  });
});
