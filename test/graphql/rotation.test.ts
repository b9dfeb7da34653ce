import { describe, expect, test } from 'vitest';
import {
  aMember,
  anOrganization,
  aPerson,
  aWorkspaceWith,
  charge,
  createApiKey,
  type Person,
  revokeApiKey,
  rotateApiKey,
  tryRotateApiKey,
  verify,
} from '../factories.js';
import { graphql } from '../generated/index.js';
import { aServer, type Client, expectMember, startServer } from '../harness.js';

const retireDocument = graphql(`
  mutation RetireOfRotation($input: RetireSecretInput!) {
    retireSecret(input: $input) {
      __typename
      ... on RetireSecretPayload { apiKey { id status preview secrets { id preview retiresAt } } }
      ... on Error { code message }
      ... on NotFoundError { field }
    }
  }
`);

const updateDocument = graphql(`
  mutation UpdateOfRotation($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) { __typename ... on Error { code message } }
  }
`);

const productsDocument = graphql(`
  query ProductsOfRotation {
    products { slug rotationOverlapSecondsMax }
  }
`);

const tryRetire = async (client: Client, secretId: string) =>
  (await client.run(retireDocument, { input: { secretId } })).retireSecret;

const retire = async (client: Client, secretId: string) =>
  expectMember(await tryRetire(client, secretId), 'RetireSecretPayload').apiKey;

const codeOf = async (server: Parameters<typeof verify>[0], secret: string) => (await verify(server, secret)).code;

const hour = 3_600;

describe('a rotation', () => {
  test('returns a new secret of the same key once, and the old secret is valid until the overlap ends', async () => {
    const server = await startServer();
    const { client } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(client, { name: 'ci' });
    const before = Date.now();
    const rotated = await rotateApiKey(client, apiKey.id, hour);
    expect(rotated).toEqual({
      __typename: 'RotateApiKeyPayload',
      secret: expect.stringMatching(/^tk_live_[A-Za-z0-9]{36}$/),
      oldSecretsRetireAt: expect.any(String),
      apiKey: {
        id: apiKey.id,
        keyId: null,
        preview: rotated.secret.slice(-4),
        status: 'ACTIVE',
        secrets: [
          {
            id: expect.stringMatching(/^sec_/),
            preview: rotated.secret.slice(-4),
            createdAt: expect.any(String),
            lastUsedAt: null,
            retiresAt: null,
          },
          {
            id: expect.stringMatching(/^sec_/),
            preview: secret.slice(-4),
            createdAt: expect.any(String),
            lastUsedAt: null,
            retiresAt: rotated.oldSecretsRetireAt,
          },
        ],
      },
    });
    const overlapMs = Date.parse(rotated.oldSecretsRetireAt ?? '') - before;
    expect(overlapMs).toBeGreaterThanOrEqual(hour * 1000);
    expect(overlapMs).toBeLessThan(hour * 1000 + 20_000);

    for (const each of [secret, rotated.secret]) {
      expect(await verify(server, each)).toMatchObject({ code: 'VALID', apiKey: { id: apiKey.id } });
    }
    server.clock.advance(hour * 1000 + 20_000);
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
  });

  test('without an overlap retires the old secret immediately', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'leaked' });
    const { data } = await owner.client.send<{ rotateApiKey: { secret: string } }>(
      'mutation ($id: ID!) { rotateApiKey(input: { apiKeyId: $id }) { ... on RotateApiKeyPayload { secret } } }',
      { id: apiKey.id },
    );
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    expect(await codeOf(server, data?.rotateApiKey.secret ?? '')).toBe('VALID');
  });

  test('keeps the rate limits and idempotent charges of the key', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci' });
    const once = { action: 'request', idempotencyKey: crypto.randomUUID() };
    const first = await charge(server, secret, once);
    const rotated = await rotateApiKey(owner.client, apiKey.id, 0);
    const again = await charge(server, rotated.secret, once);
    expect(again.charge).toEqual({ ...first.charge, replayed: true });
    expect(again.rateLimits[0]?.remaining).toBe((first.rateLimits[0]?.remaining ?? 0) - 1);
  });

  test('of a header pair keeps the key id', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'makepay' });
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'shop' });
    const rotated = await rotateApiKey(owner.client, apiKey.id, hour);
    expect(rotated.secret).toMatch(/^mksec_[A-Za-z0-9]{43}$/);
    const keyId = apiKey.keyId ?? '';
    expect(rotated.apiKey.keyId).toBe(keyId);
    for (const each of [secret, rotated.secret]) {
      expect(await verify(server, { pair: { keyId, secret: each } })).toMatchObject({ code: 'VALID' });
    }
  });

  test('of a TEST key returns a TEST secret', async () => {
    const { owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey } = await createApiKey(owner.client, { name: 'trial', environment: 'TEST' });
    expect((await rotateApiKey(owner.client, apiKey.id, 0)).secret).toMatch(/^tk_test_/);
  });

  test('of a disabled key leaves it disabled', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey } = await createApiKey(owner.client, { name: 'off' });
    await owner.client.run(updateDocument, { input: { apiKeyId: apiKey.id, enabled: false } });
    const rotated = await rotateApiKey(owner.client, apiKey.id, 0);
    expect(rotated.apiKey.status).toBe('DISABLED');
    expect(await codeOf(server, rotated.secret)).toBe('DISABLED');
  });
});

describe('a rotation never extends a lifetime', () => {
  test('the old secret of a key with an expiry retires at that expiry, when the new secret expires too', async () => {
    const server = await startServer();
    const { client } = await aPerson(server);
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const { apiKey, secret } = await createApiKey(client, { name: 'short', expiresAt });
    const rotated = await rotateApiKey(client, apiKey.id, hour);
    expect(rotated.oldSecretsRetireAt).toBe(expiresAt);
    server.clock.advance(61_000);
    expect(await codeOf(server, rotated.secret)).toBe('EXPIRED');
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    // A later expiry makes the key active again, but not its retired secrets.
    await client.run(updateDocument, { input: { apiKeyId: apiKey.id, expiresAt: '2999-01-31T12:00:00Z' } });
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
  });

  test('a secret that retires soon keeps its retirement time in a rotation with a longer overlap', async () => {
    const { owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey } = await createApiKey(owner.client, { name: 'ci' });
    const first = await rotateApiKey(owner.client, apiKey.id, 60);
    const second = await rotateApiKey(owner.client, apiKey.id, hour);
    expect(second.apiKey.secrets.map(({ retiresAt }) => retiresAt)).toEqual([
      null,
      second.oldSecretsRetireAt,
      first.oldSecretsRetireAt,
    ]);
    // A rotation without an overlap retires all old secrets.
    const third = await rotateApiKey(owner.client, apiKey.id, 0);
    expect(new Set(third.apiKey.secrets.map(({ retiresAt }) => retiresAt))).toEqual(
      new Set([null, third.oldSecretsRetireAt]),
    );
  });
});

describe('an old secret', () => {
  async function aRotatedKey(overlapSeconds = hour) {
    const server = await startServer();
    const owner: Person = await aPerson(server);
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci' });
    const rotated = await rotateApiKey(owner.client, apiKey.id, overlapSeconds);
    const [newest, old] = rotated.apiKey.secrets;
    if (newest === undefined || old === undefined) throw new Error('A rotated key has two secrets.');
    return { server, owner, apiKey, secret, rotated, newest, old };
  }

  test('has a last use of its own, from which an owner sees that it is unused', async () => {
    const { server, owner, apiKey, secret } = await aRotatedKey();
    expect(await codeOf(server, secret)).toBe('VALID');
    await server.services.uses.flush();
    const { data } = await owner.client.send<{ apiKey: { secrets: { lastUsedAt: string | null }[] } }>(
      'query ($id: ID!) { apiKey(id: $id) { secrets { lastUsedAt } } }',
      { id: apiKey.id },
    );
    expect(data?.apiKey.secrets.map(({ lastUsedAt }) => lastUsedAt)).toEqual([null, expect.any(String)]);
  });

  test('and the newest one, used in the same hour, each have their last use, and the key has the later one', async () => {
    const { server, owner, apiKey, secret, rotated } = await aRotatedKey();
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
    server.clock.advance(1_000);
    expect(await codeOf(server, secret)).toBe('VALID');
    await server.services.uses.flush();
    const { data } = await owner.client.send<{
      apiKey: { lastUsedAt: string; secrets: { lastUsedAt: string }[] };
    }>('query ($id: ID!) { apiKey(id: $id) { lastUsedAt secrets { lastUsedAt } } }', { id: apiKey.id });
    const [newest, old] = data?.apiKey.secrets.map(({ lastUsedAt }) => lastUsedAt) ?? [];
    expect(data?.apiKey.lastUsedAt).toBe(old);
    expect(Date.parse(old ?? '') - Date.parse(newest ?? '')).toBeGreaterThanOrEqual(1_000);
  });

  test('is refused after it is retired; retiring it again changes nothing', async () => {
    const { server, owner, apiKey, secret, rotated, newest, old } = await aRotatedKey();
    const retired = await retire(owner.client, old.id);
    expect(retired).toEqual({
      id: apiKey.id,
      status: 'ACTIVE',
      preview: newest.preview,
      secrets: [
        { id: newest.id, preview: newest.preview, retiresAt: null },
        { id: old.id, preview: old.preview, retiresAt: expect.any(String) },
      ],
    });
    expect(Date.parse(retired.secrets[1]?.retiresAt ?? '')).toBeLessThan(Date.now() + 20_000);
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
    server.clock.advance(60_000);
    expect(await retire(owner.client, old.id)).toEqual(retired);
  });

  test('can be retired, but the newest secret of a key cannot', async () => {
    const { server, owner, rotated, newest } = await aRotatedKey();
    expect(await tryRetire(owner.client, newest.id)).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'This is the newest secret of the key. Rotate the key first, or revoke it.',
    });
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
  });

  test('of a deleted key, or with an unknown id, cannot be retired and returns NotFoundError', async () => {
    const { owner, apiKey, old } = await aRotatedKey();
    await owner.client.send('mutation ($id: ID!) { deleteApiKey(input: { apiKeyId: $id }) { __typename } }', {
      id: apiKey.id,
    });
    for (const id of [old.id, 'sec_nonsense']) {
      expect(await tryRetire(owner.client, id)).toEqual({
        __typename: 'NotFoundError',
        code: 'NOT_FOUND',
        message: 'Secret not found.',
        field: 'input.secretId',
      });
    }
  });
});

describe('a rotation is refused', () => {
  test.each(['makra', 'craftkit'])('with an overlap, for products that allow none: %s', async (product) => {
    const server = await aServer({ products: [product] });
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    const { apiKey, secret } = await createApiKey(server.backend, { name: 'ours', workspaceId });
    expect(await tryRotateApiKey(server.backend, apiKey.id, 1)).toEqual({
      __typename: 'ValidationError',
      code: 'BAD_USER_INPUT',
      message: `Keys of ${product} do not support an overlap. Set it to 0.`,
      field: 'input.overlapSeconds',
    });
    expect(await codeOf(server, secret)).toBe('VALID');
    const rotated = await rotateApiKey(server.backend, apiKey.id, 0);
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
  });

  test('with an overlap above the maximum that the product shows', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'masko' });
    expect((await server.anonymous.run(productsDocument)).products).toEqual([
      { slug: 'masko', rotationOverlapSecondsMax: 604_800 },
    ]);
    const { apiKey } = await createApiKey(owner.client, { name: 'ci' });
    expect(await tryRotateApiKey(owner.client, apiKey.id, 604_801)).toMatchObject({
      __typename: 'ValidationError',
      message: 'The overlap of a key of masko must be a whole number of seconds from 0 to 604800.',
    });
    expect(await tryRotateApiKey(owner.client, apiKey.id, 604_800)).toMatchObject({
      __typename: 'RotateApiKeyPayload',
    });
  });

  test('for revoked and expired keys', async () => {
    const server = await startServer();
    const { client } = await aPerson(server);
    const revoked = await createApiKey(client, { name: 'revoked' });
    await revokeApiKey(client, revoked.apiKey.id);
    expect(await tryRotateApiKey(client, revoked.apiKey.id, 0)).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The key is revoked. Create another one.',
    });
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const expired = await createApiKey(client, { name: 'expired', expiresAt });
    server.clock.advance(61_000);
    expect(await tryRotateApiKey(client, expired.apiKey.id, 0)).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'The key has expired. Set a later expiresAt first, or create another one.',
    });
  });

  test('while five secrets are valid, until one of them is retired', async () => {
    const { owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey } = await createApiKey(owner.client, { name: 'ci' });
    for (let made = 1; made < 5; made += 1) await rotateApiKey(owner.client, apiKey.id, hour);
    expect(await tryRotateApiKey(owner.client, apiKey.id, hour)).toEqual({
      __typename: 'LimitReachedError',
      code: 'LIMIT_REACHED',
      limit: 5,
      message: 'At most 5 secrets of a key are valid at the same time. Retire one first, or rotate without an overlap.',
    });
    const { data } = await owner.client.send<{ apiKey: { secrets: { id: string; retiresAt: string | null }[] } }>(
      'query ($id: ID!) { apiKey(id: $id) { secrets { id retiresAt } } }',
      { id: apiKey.id },
    );
    // The refused rotation changed nothing.
    expect(data?.apiKey.secrets.filter(({ retiresAt }) => retiresAt === null)).toHaveLength(1);
    await retire(owner.client, data?.apiKey.secrets[4]?.id ?? '');
    await rotateApiKey(owner.client, apiKey.id, hour);
  });

  test('for a member without the permission apiKey:rotate', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { client, memberId } = await aMember(server, owner, workspaceId, 'MEMBER');
    const { apiKey } = await createApiKey(owner.client, { workspaceId, name: 'ci' });
    expect(await tryRotateApiKey(client, apiKey.id, 0)).toMatchObject({
      __typename: 'ForbiddenError',
      permission: 'apiKey:rotate',
    });
    await owner.client.send(
      'mutation ($id: ID!) { updateMember(input: { memberId: $id, permissions: ["apiKey:rotate"] }) { __typename } }',
      { id: memberId },
    );
    await rotateApiKey(client, apiKey.id, 0);
  });
});

describe('concurrent mutations', () => {
  test('concurrent rotations each return a different secret, and exactly one stays valid', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci' });
    const rotated = await Promise.all(Array.from({ length: 8 }, () => rotateApiKey(owner.client, apiKey.id, 0)));
    const secrets = rotated.map(({ secret }) => secret);
    expect(new Set(secrets).size).toBe(8);
    const codes = await Promise.all(secrets.map((each) => codeOf(server, each)));
    expect(codes.filter((code) => code === 'VALID')).toHaveLength(1);
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    const working = await server.services.db.keySecret.findMany({ where: { apiKeyId: apiKey.id, retiresAt: null } });
    expect(working).toHaveLength(1);
  });

  test('concurrent rotations with an overlap leave at most five valid secrets', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey } = await createApiKey(owner.client, { name: 'ci' });
    const results = await Promise.all(Array.from({ length: 10 }, () => tryRotateApiKey(owner.client, apiKey.id, hour)));
    const made = results.filter(({ __typename }) => __typename === 'RotateApiKeyPayload');
    expect(made).toHaveLength(4);
    const codes = await Promise.all(
      made.map((result) => codeOf(server, expectMember(result, 'RotateApiKeyPayload').secret)),
    );
    expect(codes).toEqual(['VALID', 'VALID', 'VALID', 'VALID']);
  });

  test('a concurrent rotation and revocation leave no valid secret', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    for (let round = 0; round < 5; round += 1) {
      const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci' });
      const [rotated] = await Promise.all([
        tryRotateApiKey(owner.client, apiKey.id, hour),
        revokeApiKey(owner.client, apiKey.id),
      ]);
      const secrets = rotated.__typename === 'RotateApiKeyPayload' ? [secret, rotated.secret] : [secret];
      for (const each of secrets) expect(await codeOf(server, each)).toBe('INVALID_CREDENTIAL');
    }
  });

  test('a concurrent retirement and rotation leave exactly one secret without a retirement time', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    for (let round = 0; round < 5; round += 1) {
      const { apiKey } = await createApiKey(owner.client, { name: 'ci' });
      const { newest } = await server.services.db.keySecret
        .findFirstOrThrow({ where: { apiKeyId: apiKey.id } })
        .then(({ id }) => ({ newest: id }));
      await Promise.all([tryRetire(owner.client, newest), rotateApiKey(owner.client, apiKey.id, hour)]);
      const lasting = await server.services.db.keySecret.findMany({ where: { apiKeyId: apiKey.id, retiresAt: null } });
      expect(lasting).toHaveLength(1);
    }
  });
});
