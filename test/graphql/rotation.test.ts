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
  test('gives the same key a new secret, shown once, and the old one works until the overlap ends', async () => {
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

  test('without an overlap ends the old secret at once', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'leaked' });
    const { data } = await owner.client.send<{ rotateApiKey: { secret: string } }>(
      'mutation ($id: ID!) { rotateApiKey(input: { apiKeyId: $id }) { ... on RotateApiKeyPayload { secret } } }',
      { id: apiKey.id },
    );
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    expect(await codeOf(server, data?.rotateApiKey.secret ?? '')).toBe('VALID');
  });

  test('keeps what was promised and paid: rate limits and idempotent charges go on across it', async () => {
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

  test('of a TEST key makes a TEST secret', async () => {
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

describe('a rotation never lengthens a life', () => {
  test('the old secret of a key that expires ends with the key, and so does the new one', async () => {
    const server = await startServer();
    const { client } = await aPerson(server);
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const { apiKey, secret } = await createApiKey(client, { name: 'short', expiresAt });
    const rotated = await rotateApiKey(client, apiKey.id, hour);
    expect(rotated.oldSecretsRetireAt).toBe(expiresAt);
    server.clock.advance(61_000);
    expect(await codeOf(server, rotated.secret)).toBe('EXPIRED');
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    // A later end brings back the key, but no secret that has ended.
    await client.run(updateDocument, { input: { apiKeyId: apiKey.id, expiresAt: '2999-01-31T12:00:00Z' } });
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
  });

  test('a secret that was to end soon still does after a rotation with a longer overlap', async () => {
    const { owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey } = await createApiKey(owner.client, { name: 'ci' });
    const first = await rotateApiKey(owner.client, apiKey.id, 60);
    const second = await rotateApiKey(owner.client, apiKey.id, hour);
    expect(second.apiKey.secrets.map(({ retiresAt }) => retiresAt)).toEqual([
      null,
      second.oldSecretsRetireAt,
      first.oldSecretsRetireAt,
    ]);
    // And one without an overlap ends them all.
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

  test('shows its own last use, so that one that is not used any more can go', async () => {
    const { server, owner, apiKey, secret } = await aRotatedKey();
    expect(await codeOf(server, secret)).toBe('VALID');
    await server.deps.uses.flush();
    const { data } = await owner.client.send<{ apiKey: { secrets: { lastUsedAt: string | null }[] } }>(
      'query ($id: ID!) { apiKey(id: $id) { secrets { lastUsedAt } } }',
      { id: apiKey.id },
    );
    expect(data?.apiKey.secrets.map(({ lastUsedAt }) => lastUsedAt)).toEqual([null, expect.any(String)]);
  });

  test('each has its own last use where both are used in the same hour, and the later one is that of the key', async () => {
    const { server, owner, apiKey, secret, rotated } = await aRotatedKey();
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
    server.clock.advance(1_000);
    expect(await codeOf(server, secret)).toBe('VALID');
    await server.deps.uses.flush();
    const { data } = await owner.client.send<{
      apiKey: { lastUsedAt: string; secrets: { lastUsedAt: string }[] };
    }>('query ($id: ID!) { apiKey(id: $id) { lastUsedAt secrets { lastUsedAt } } }', { id: apiKey.id });
    const [newest, old] = data?.apiKey.secrets.map(({ lastUsedAt }) => lastUsedAt) ?? [];
    expect(data?.apiKey.lastUsedAt).toBe(old);
    expect(Date.parse(old ?? '') - Date.parse(newest ?? '')).toBeGreaterThanOrEqual(1_000);
  });

  test('ends when it is retired; twice is once', async () => {
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

  test('is not the newest one, without which the key would be as good as revoked', async () => {
    const { server, owner, rotated, newest } = await aRotatedKey();
    expect(await tryRetire(owner.client, newest.id)).toEqual({
      __typename: 'ConflictError',
      code: 'CONFLICT',
      message: 'This is the newest secret of the key. Rotate the key first, or revoke it.',
    });
    expect(await codeOf(server, rotated.secret)).toBe('VALID');
  });

  test('of a deleted key, or of nobody, is not found', async () => {
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
  test.each(['makra', 'craftkit'])('with an overlap, where the document leaves none: %s', async (product) => {
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

  test('with a longer overlap than the product shows', async () => {
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

  test('of a revoked and of an expired key', async () => {
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

  test('once five secrets work, until one is retired', async () => {
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
    // What was refused has changed nothing.
    expect(data?.apiKey.secrets.filter(({ retiresAt }) => retiresAt === null)).toHaveLength(1);
    await retire(owner.client, data?.apiKey.secrets[4]?.id ?? '');
    await rotateApiKey(owner.client, apiKey.id, hour);
  });

  test('to a member, unless they were given the permission', async () => {
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

describe('at once', () => {
  test('many rotations each give another secret, and one of them stays', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'ci' });
    const rotated = await Promise.all(Array.from({ length: 8 }, () => rotateApiKey(owner.client, apiKey.id, 0)));
    const secrets = rotated.map(({ secret }) => secret);
    expect(new Set(secrets).size).toBe(8);
    const codes = await Promise.all(secrets.map((each) => codeOf(server, each)));
    expect(codes.filter((code) => code === 'VALID')).toHaveLength(1);
    expect(await codeOf(server, secret)).toBe('INVALID_CREDENTIAL');
    const working = await server.deps.db.keySecret.findMany({ where: { apiKeyId: apiKey.id, retiresAt: null } });
    expect(working).toHaveLength(1);
  });

  test('no more than five secrets come to work, however many rotations overlap', async () => {
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

  test('a rotation and a revocation leave no secret that works', async () => {
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

  test('a retirement and a rotation leave one secret without an end', async () => {
    const { server, owner } = await aWorkspaceWith({ product: 'default' });
    for (let round = 0; round < 5; round += 1) {
      const { apiKey } = await createApiKey(owner.client, { name: 'ci' });
      const { newest } = await server.deps.db.keySecret
        .findFirstOrThrow({ where: { apiKeyId: apiKey.id } })
        .then(({ id }) => ({ newest: id }));
      await Promise.all([tryRetire(owner.client, newest), rotateApiKey(owner.client, apiKey.id, hour)]);
      const lasting = await server.deps.db.keySecret.findMany({ where: { apiKeyId: apiKey.id, retiresAt: null } });
      expect(lasting).toHaveLength(1);
    }
  });
});
