import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  aMember,
  anOrganization,
  aPerson,
  aWorkspaceWith,
  charge,
  createApiKey,
  grantCredits,
  revokeApiKey,
  verify,
} from '../factories.js';
import { aServer, startServer } from '../harness.js';
import { allowed, charged, failure, fieldRefusedOverHttp, refused, refusedOverHttp } from './answers.js';
import {
  ask,
  askForKey,
  bearer,
  creditsOf,
  keyOf,
  keysOf,
  ledgerOf,
  productsOf,
  removeMember,
  updateApiKey,
} from './calls.js';

// Not testable on a key server: the Developer dashboard, which is a client of this API; where customers
// store a key; higher limits by mail, which are another product file; what images and animations look like.

const unauthenticated = { status: 401, code: '401', message: 'The API key is missing or not valid.' };
const insufficient = { status: 402, code: '402', message: 'Insufficient credits: top up your balance to continue.' };
const denied = { status: 403, code: '403', message: 'Access denied: you do not own this resource.' };
const tooMany = { status: 429, code: '429', message: 'Too Many Requests: the rate limit is exceeded. Wait and retry.' };

const minute = { limit: 60, windowSeconds: 60 };
const hour = { limit: 1_000, windowSeconds: 3_600 };
const minuteMs = 60_000;

/** An unknown key in the document’s format. */
const anUnknownKey = () => `masko_${randomBytes(32).toString('hex')}`;

/** The rate limits of a key after a number of requests in one minute. */
function limitsAfter(requests: number) {
  return {
    rateLimits: [
      { ...minute, remaining: 60 - requests, resetAt: expect.any(String) },
      { ...hour, remaining: 1_000 - requests, resetAt: expect.any(String) },
    ],
    headers: headersAt(60 - requests, 1_000 - requests),
  };
}

/** The headers of a key whose minute has the fewest remaining requests. */
function headersAt(perMinute: number, perHour: number) {
  return [
    { name: 'X-RateLimit-Limit', value: '60' },
    { name: 'X-RateLimit-Remaining', value: String(perMinute) },
    { name: 'X-RateLimit-Reset', value: expect.stringMatching(/^\d{10}$/) },
    ...windowHeaders(perMinute, perHour),
  ];
}

/** Both windows in the headers of the IETF draft, which this server sends in addition to the vendor’s. */
function windowHeaders(perMinute: number, perHour: number) {
  return [
    { name: 'RateLimit-Policy', value: '"minute";q=60;w=60, "hour";q=1000;w=3600' },
    {
      name: 'RateLimit',
      value: expect.stringMatching(new RegExp(`^"minute";r=${perMinute};t=\\d{1,2}, "hour";r=${perHour};t=\\d{1,4}$`)),
    },
  ];
}

/** The key and its workspace, as in a refusal of a known key. */
function known(apiKey: { id: string }, workspaceId: string) {
  return { apiKey: { id: apiKey.id, name: expect.any(String) }, workspace: { id: workspaceId } };
}

async function aKey() {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
  return { server, owner, workspaceId, ...(await createApiKey(owner.client, { name: 'mascot' })) };
}

/** A key on a server of its own, whose clock the test moves. */
async function aKeyInTime() {
  const server = await startServer({ products: ['masko'] });
  const owner = await aPerson(server);
  return { server, workspaceId: owner.personalWorkspaceId, ...(await createApiKey(owner.client, { name: 'mascot' })) };
}

describe('Authentication', () => {
  test('a request with the key as its Bearer token is accepted', async () => {
    const { server, workspaceId, apiKey, secret } = await aKey();
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId, limitsAfter(1)));
  });

  test('a request without a credential is 401', async () => {
    const server = await aServer({ products: ['masko'] });
    expect(await verify(server, '')).toEqual(refused('MISSING_CREDENTIAL', unauthenticated));
    expect(await ask(server, {}, '{ credits { balance } }')).toEqual(
      fieldRefusedOverHttp('UNAUTHENTICATED', unauthenticated, 'credits'),
    );
  });
});

describe('API Keys', () => {
  test('the products query returns the format, prices and rate limits of Masko keys without a credential', async () => {
    expect(await productsOf(await aServer({ products: ['masko'] }))).toEqual([
      {
        slug: 'masko',
        headers: ['authorization'],
        keyFormats: [{ environment: 'LIVE', prefix: 'masko_', length: 64, alphabet: 'hex', checksum: false }],
        permissions: [],
        features: [],
        prices: [
          { action: 'image', credits: 1, unit: 'image' },
          { action: 'animation', credits: 5, unit: 'second' },
          { action: 'logo', credits: 5, unit: 'logo' },
          { action: 'edit', credits: 1, unit: 'edit' },
        ],
        freeCredits: 0,
        rateLimits: [minute, hour],
        activeKeysMax: 10,
        signingSecrets: false,
      },
    ]);
  });

  test('a key is masko_ and 64 hex characters, without signing secret or free credits', async () => {
    const { secret, signingSecret, freeCreditsRemaining } = await aKey();
    expect(secret).toMatch(/^masko_[0-9a-f]{64}$/);
    expect({ signingSecret, freeCreditsRemaining }).toEqual({ signingSecret: null, freeCreditsRemaining: 0 });
  });

  test('only the SHA-256 hash and the last four characters of a key are stored', async () => {
    const { server, apiKey, secret } = await aKey();
    const stored = await server.services.db.keySecret.findMany({ where: { apiKeyId: apiKey.id } });
    expect(stored).toEqual([
      {
        id: expect.any(String),
        workspaceId: expect.any(String),
        apiKeyId: apiKey.id,
        hash: expect.anything(),
        preview: secret.slice(-4),
        createdAt: expect.any(Date),
        retiresAt: null,
      },
    ]);
    expect(Buffer.from(stored[0]?.hash ?? []).toString('hex')).toBe(createHash('sha256').update(secret).digest('hex'));
  });

  test('the raw key is returned once and cannot be read again', async () => {
    const { owner, apiKey, secret } = await aKey();
    expect(await keysOf(owner.client)).toEqual([
      { id: apiKey.id, name: 'mascot', preview: secret.slice(-4), status: 'ACTIVE' },
    ]);
    expect(JSON.stringify(await keyOf(owner.client, apiKey.id))).not.toContain(secret);
  });

  test('a GET with the key in the Authorization header reads the credits, as in the document’s example', async () => {
    const { server, workspaceId, secret } = await aKey();
    await grantCredits(server, workspaceId, 12);
    const query = encodeURIComponent('{ credits { balance } }');
    const response = await server.fetch(`/graphql?query=${query}`, { headers: { Authorization: `Bearer ${secret}` } });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ data: { credits: { balance: 12 } } });
  });

  test('a compromised key is refused immediately after it is revoked', async () => {
    const { server, owner, apiKey, secret } = await aKey();
    expect(await revokeApiKey(owner.client, apiKey.id)).toEqual({ id: apiKey.id, status: 'REVOKED' });
    expect(await verify(server, secret)).toEqual(refused('INVALID_CREDENTIAL', unauthenticated));
    expect(await ask(server, bearer(secret))).toEqual(refusedOverHttp('UNAUTHENTICATED', unauthenticated));
  });
});

describe('Creating API Keys', () => {
  test('a signed-in person can create a key through the API', async () => {
    const { owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
    expect(await askForKey(owner.client, { name: 'script' })).toEqual({
      __typename: 'CreateApiKeyPayload',
      apiKey: { name: 'script', product: 'masko', createdBy: { id: owner.id }, workspace: { id: workspaceId } },
    });
  });

  test('a workspace can have 10 active keys, and revoking or disabling one allows another', async () => {
    const { owner } = await aWorkspaceWith({ product: 'masko' });
    const keys = [];
    for (let made = 0; made < 10; made += 1) keys.push(await createApiKey(owner.client, { name: `key ${made}` }));
    const limit = {
      __typename: 'LimitReachedError',
      code: 'LIMIT_REACHED',
      limit: 10,
      message: 'A workspace can have at most 10 active keys of masko. Revoke or disable one first.',
    };
    expect(await askForKey(owner.client, { name: 'eleventh' })).toEqual(limit);

    const [first, second] = keys.map(({ apiKey }) => apiKey.id);
    await revokeApiKey(owner.client, first ?? '');
    expect(await askForKey(owner.client, { name: 'in place of the first' })).toMatchObject({
      __typename: 'CreateApiKeyPayload',
    });
    expect(await askForKey(owner.client, { name: 'eleventh' })).toEqual(limit);

    await updateApiKey(owner.client, { apiKeyId: second ?? '', enabled: false });
    expect(await askForKey(owner.client, { name: 'in place of the second' })).toMatchObject({
      __typename: 'CreateApiKeyPayload',
    });
    expect(await updateApiKey(owner.client, { apiKeyId: second ?? '', enabled: true })).toEqual(limit);
  });

  test('the limit is per workspace: an organization can have 10 keys of its own', async () => {
    const { owner } = await aWorkspaceWith({ product: 'masko' });
    for (let made = 0; made < 10; made += 1) await createApiKey(owner.client, { name: `key ${made}` });
    const workspaceId = await anOrganization(owner);
    expect(await askForKey(owner.client, { name: 'team', workspaceId })).toMatchObject({
      __typename: 'CreateApiKeyPayload',
    });
  });
});

describe('Personal vs Organization Keys', () => {
  test('a personal key deducts from personal credits, an organization key from the credits of the team', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
    const organizationId = await anOrganization(owner);
    await grantCredits(server, workspaceId, 20);
    await grantCredits(server, organizationId, 30);
    const personal = await createApiKey(owner.client, { name: 'personal' });
    const team = await createApiKey(owner.client, { name: 'team', workspaceId: organizationId });

    expect(await charge(server, personal.secret, { action: 'image' })).toEqual(
      allowed(personal.apiKey, workspaceId, { charge: charged(1, 19), ...limitsAfter(1) }),
    );
    expect(await charge(server, team.secret, { action: 'logo' })).toEqual(
      allowed(team.apiKey, organizationId, { charge: charged(5, 25), ...limitsAfter(1) }),
    );
    expect(await creditsOf(owner.client)).toEqual({ balance: 19, held: 0, available: 19 });
    expect(await creditsOf(owner.client, organizationId)).toEqual({ balance: 25, held: 0, available: 25 });
  });

  test('a key can access its own workspace and no other', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
    const organizationId = await anOrganization(owner);
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'team', workspaceId: organizationId });
    const query = `{ own: workspace(id: "${organizationId}") { id } other: workspace(id: "${workspaceId}") { id }
      credits(workspaceId: "${workspaceId}") { balance } workspaces { nodes { id } } apiKeys { nodes { id } } }`;
    expect(await ask(server, bearer(secret), query)).toMatchObject({
      status: 200,
      body: {
        data: {
          own: { id: organizationId },
          other: null,
          credits: null,
          workspaces: { nodes: [{ id: organizationId }] },
          apiKeys: { nodes: [{ id: apiKey.id }] },
        },
      },
    });
  });

  test('the list of keys contains only those of the selected workspace', async () => {
    const { owner, workspaceId } = await aWorkspaceWith({ product: 'masko' });
    const organizationId = await anOrganization(owner);
    await createApiKey(owner.client, { name: 'personal' });
    await createApiKey(owner.client, { name: 'team', workspaceId: organizationId });
    const names = async (id: string) => (await keysOf(owner.client, id)).map(({ name }) => name);
    expect(await names(workspaceId)).toEqual(['personal']);
    expect(await names(organizationId)).toEqual(['team']);
  });

  test.each(['OWNER', 'ADMIN'] as const)('a member with the role %s can create organization keys', async (role) => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko', kind: 'ORGANIZATION' });
    const person = await aMember(server, owner, workspaceId, role);
    expect(await askForKey(person.client, { name: 'team', workspaceId })).toEqual({
      __typename: 'CreateApiKeyPayload',
      apiKey: { name: 'team', product: 'masko', createdBy: { id: person.id }, workspace: { id: workspaceId } },
    });
  });

  test('a member with the role MEMBER can create personal keys, but no organization keys', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko', kind: 'ORGANIZATION' });
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    expect(await askForKey(member.client, { name: 'team', workspaceId })).toEqual({
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
      permission: 'apiKey:create',
      message: 'You may not create keys of masko in this workspace.',
    });
    expect(await askForKey(member.client, { name: 'personal' })).toMatchObject({
      apiKey: { workspace: { id: member.personalWorkspaceId } },
    });
  });

  test('a person who is not a member cannot see the workspace or create keys in it', async () => {
    const { server, workspaceId } = await aWorkspaceWith({ product: 'masko', kind: 'ORGANIZATION' });
    const stranger = await aPerson(server);
    expect(await askForKey(stranger.client, { name: 'team', workspaceId })).toEqual({
      __typename: 'NotFoundError',
      code: 'NOT_FOUND',
      field: 'input.workspaceId',
      message: 'Workspace not found.',
    });
  });

  test('any member can use an organization key: a MEMBER sees it, and its requests deduct from the team’s credits', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko', kind: 'ORGANIZATION' });
    await grantCredits(server, workspaceId, 10);
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'team', workspaceId });
    const member = await aMember(server, owner, workspaceId, 'MEMBER');
    expect(await keysOf(member.client, workspaceId)).toEqual([
      { id: apiKey.id, name: 'team', preview: secret.slice(-4), status: 'ACTIVE' },
    ]);
    expect(await charge(server, secret, { action: 'edit' })).toEqual(
      allowed(apiKey, workspaceId, { charge: charged(1, 9), ...limitsAfter(1) }),
    );
    expect(await creditsOf(member.client, workspaceId)).toEqual({ balance: 9, held: 0, available: 9 });
  });

  test('an organization key stays valid after the admin who created it leaves', async () => {
    const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'masko', kind: 'ORGANIZATION' });
    const admin = await aMember(server, owner, workspaceId, 'ADMIN');
    const { apiKey, secret } = await createApiKey(admin.client, { name: 'team', workspaceId });
    expect(await removeMember(admin.client, admin.memberId)).toEqual({
      __typename: 'RemoveMemberPayload',
      removedMemberId: admin.memberId,
    });
    expect(await keysOf(admin.client, workspaceId)).toEqual([]);
    expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId, limitsAfter(1)));
  });
});

describe('Rate Limits', () => {
  test('60 requests per minute per key are accepted, and the 61st is 429', async () => {
    const { server, workspaceId, apiKey, secret } = await aKeyInTime();
    for (let request = 1; request <= 60; request += 1) {
      expect(await verify(server, secret)).toEqual(allowed(apiKey, workspaceId, limitsAfter(request)));
    }
    const { rateLimits, headers } = limitsAfter(60);
    expect(await verify(server, secret)).toEqual(
      refused('RATE_LIMITED', tooMany, {
        ...known(apiKey, workspaceId),
        rateLimits,
        headers: [...headers, { name: 'Retry-After', value: expect.stringMatching(/^([1-5]?\d|60)$/) }],
      }),
    );
  });

  test('the limit is per key: another key of the same workspace has its own', async () => {
    const { server, owner, workspaceId, secret } = await aKey();
    await verify(server, secret);
    const other = await createApiKey(owner.client, { name: 'other' });
    expect(await verify(server, other.secret)).toEqual(allowed(other.apiKey, workspaceId, limitsAfter(1)));
  });

  test('the window is rolling: an accepted request leaves it after a minute, and a refused one is not counted', async () => {
    const { server, workspaceId, apiKey, secret } = await aKeyInTime();
    const codes = async (requests: number) => {
      const seen = [];
      for (let request = 0; request < requests; request += 1) seen.push((await verify(server, secret)).code);
      return seen;
    };
    const valid = (requests: number) => Array.from({ length: requests }, () => 'VALID');
    expect(await codes(1)).toEqual(valid(1));
    server.clock.advance(minuteMs / 2);
    expect(await codes(60)).toEqual([...valid(59), 'RATE_LIMITED']);
    server.clock.advance(minuteMs / 2);
    expect(await codes(2)).toEqual([...valid(1), 'RATE_LIMITED']);
    server.clock.advance(minuteMs / 2);
    expect(await codes(60)).toEqual([...valid(59), 'RATE_LIMITED']);
    server.clock.advance(minuteMs);
    expect(await verify(server, secret)).toMatchObject({
      ...allowed(apiKey, workspaceId),
      rateLimits: [
        { ...minute, remaining: 59 },
        { ...hour, remaining: 1_000 - 1 - 59 - 1 - 59 - 1 },
      ],
      headers: headersAt(59, 1_000 - 1 - 59 - 1 - 59 - 1),
    });
  });

  test('1,000 requests per hour per key are accepted, however they are distributed, and the 1,001st is 429', async () => {
    const { server, workspaceId, apiKey, secret } = await aKeyInTime();
    for (let request = 0; request < 1_000; request += 1) {
      if (request > 0 && request % 50 === 0) server.clock.advance(minuteMs);
      const { status } = await ask(server, bearer(secret), '{ __typename }');
      expect(status).toBe(200);
    }
    // 50 in this minute, so the limit per minute would accept 10 more.
    expect(await verify(server, secret)).toEqual(
      refused('RATE_LIMITED', tooMany, {
        ...known(apiKey, workspaceId),
        rateLimits: [
          { ...minute, remaining: 10, resetAt: expect.any(String) },
          { ...hour, remaining: 0, resetAt: expect.any(String) },
        ],
        headers: [
          { name: 'X-RateLimit-Limit', value: '1000' },
          { name: 'X-RateLimit-Remaining', value: '0' },
          { name: 'X-RateLimit-Reset', value: expect.stringMatching(/^\d{10}$/) },
          ...windowHeaders(10, 0),
          // The requests of the first minute leave the window of the hour in 41 minutes.
          { name: 'Retry-After', value: expect.stringMatching(/^2[34]\d\d$/) },
        ],
      }),
    );
    server.clock.advance(41 * minuteMs);
    expect(await verify(server, secret)).toMatchObject({ valid: true, code: 'VALID' });
  });

  test('the requests of a key to this server count in the same windows, and are refused with 429 above the limits', async () => {
    const { server, workspaceId, apiKey, secret } = await aKeyInTime();
    const seen = [];
    for (let request = 1; request <= 60; request += 1) seen.push(await ask(server, bearer(secret)));
    const resets = seen.map(({ headers }) => headers['x-ratelimit-reset']);
    expect(seen).toEqual(
      Array.from({ length: 60 }, (_each, index) => ({
        status: 200,
        body: { data: { viewer: { apiKey: { id: apiKey.id } } } },
        headers: {
          'x-ratelimit-limit': '60',
          'x-ratelimit-remaining': String(59 - index),
          // The time when the first request leaves the window.
          'x-ratelimit-reset': resets[0],
        },
      })),
    );
    const refusal = await ask(server, bearer(secret));
    expect(refusal).toEqual(
      refusedOverHttp('RATE_LIMITED', tooMany, {
        'x-ratelimit-limit': '60',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': resets[0] ?? '',
        'retry-after': expect.stringMatching(/^([1-5]?\d|60)$/),
      }),
    );
    expect(await verify(server, secret)).toMatchObject({ code: 'RATE_LIMITED', ...known(apiKey, workspaceId) });

    server.clock.advance(Number(refusal.headers['retry-after']) * 1_000);
    expect((await ask(server, bearer(secret))).status).toBe(200);
  });

  test('a request above the limit takes no credits', async () => {
    const { server, workspaceId, secret } = await aKeyInTime();
    await grantCredits(server, workspaceId, 100);
    for (let request = 0; request < 60; request += 1) await ask(server, bearer(secret), '{ __typename }');
    expect(await charge(server, secret, { action: 'logo' })).toMatchObject({ code: 'RATE_LIMITED', charge: null });
    expect(await creditsOf(server.backend, workspaceId)).toEqual({ balance: 100, held: 0, available: 100 });
  });

  test('every response for a known key contains its rate limits, including refusals', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    expect(await charge(server, secret, { action: 'image' })).toEqual(
      refused('INSUFFICIENT_CREDITS', insufficient, { ...known(apiKey, workspaceId), ...limitsAfter(1) }),
    );
    await updateApiKey(owner.client, { apiKeyId: apiKey.id, enabled: false });
    expect(await verify(server, secret)).toEqual(
      refused('DISABLED', unauthenticated, { ...known(apiKey, workspaceId), ...limitsAfter(1) }),
    );
  });
});

describe('Credits', () => {
  const prices: readonly [name: string, request: { action: string; quantity?: number }, cost: number][] = [
    ['an image costs 1 credit', { action: 'image' }, 1],
    ['an animation costs 5 credits per second', { action: 'animation' }, 5],
    ['an animation of 4 seconds costs 20', { action: 'animation', quantity: 4 }, 20],
    ['an animation of 2.5 seconds costs 13, the next whole credit', { action: 'animation', quantity: 2.5 }, 13],
    ['a logo costs 5 credits', { action: 'logo' }, 5],
    ['an edit costs 1 credit', { action: 'edit' }, 1],
  ];

  test.each(prices)('%s', async (_name, request, cost) => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    await grantCredits(server, workspaceId, 50);
    expect(await charge(server, secret, request)).toEqual(
      allowed(apiKey, workspaceId, { charge: charged(cost, 50 - cost), ...limitsAfter(1) }),
    );
    expect(await ledgerOf(owner.client, workspaceId)).toEqual([
      { kind: 'CHARGE', credits: -cost, balanceAfter: 50 - cost, action: request.action, apiKeyId: apiKey.id },
      { kind: 'GRANT', credits: 50, balanceAfter: 50, action: null, apiKeyId: null },
    ]);
  });

  test('the balance can be read at any time, with the key or a session', async () => {
    const { server, owner, workspaceId, secret } = await aKey();
    await grantCredits(server, workspaceId, 7);
    const balance = { balance: 7, held: 0, available: 7 };
    expect(await creditsOf(server.anonymous.with(bearer(secret)))).toEqual(balance);
    expect(await creditsOf(owner.client)).toEqual(balance);
  });
});

describe('Error Codes', () => {
  test.each([
    ['another prefix', `mask_${'0'.repeat(64)}`],
    ['too short', `masko_${'0'.repeat(63)}`],
    ['too long', `masko_${'0'.repeat(65)}`],
    ['characters that are not hex', `masko_${'x'.repeat(64)}`],
    ['unknown', anUnknownKey()],
  ])('401: an invalid key is refused: %s', async (_name, invalid) => {
    const server = await aServer({ products: ['masko'] });
    expect(await verify(server, invalid)).toEqual(refused('INVALID_CREDENTIAL', unauthenticated));
    expect(await ask(server, bearer(invalid))).toEqual(refusedOverHttp('UNAUTHENTICATED', unauthenticated));
  });

  test('402: a request without sufficient credits is refused, and no credits are taken', async () => {
    const { server, owner, workspaceId, apiKey, secret } = await aKey();
    await grantCredits(server, workspaceId, 14);
    const animation = { action: 'animation', quantity: 3 };
    expect(await charge(server, secret, animation)).toEqual(
      refused('INSUFFICIENT_CREDITS', insufficient, { ...known(apiKey, workspaceId), ...limitsAfter(1) }),
    );
    expect(await creditsOf(owner.client)).toEqual({ balance: 14, held: 0, available: 14 });
    // "Top up your balance to continue."
    await grantCredits(server, workspaceId, 1);
    expect(await charge(server, secret, animation)).toEqual(
      allowed(apiKey, workspaceId, { charge: charged(15, 0), ...limitsAfter(2) }),
    );
  });

  test('403: a request without permission is refused with the same wording by verification and by this server', async () => {
    // The document has no permissions, so one of another product represents a forbidden resource.
    const server = await aServer({ products: ['masko', 'craftkit'] });
    const owner = await aPerson(server);
    const { apiKey, secret } = await createApiKey(owner.client, { name: 'mascot' });
    expect(await verify(server, secret, { requires: ['render:create'] })).toEqual(
      refused('FORBIDDEN', denied, {
        ...known(apiKey, owner.personalWorkspaceId),
        rateLimits: [
          { ...minute, remaining: 60, resetAt: expect.any(String) },
          { ...hour, remaining: 1_000, resetAt: expect.any(String) },
        ],
        headers: expect.any(Array),
      }),
    );
    const revoke = `mutation { revokeApiKey(input: { apiKeyId: "${apiKey.id}" }) { __typename } }`;
    expect(await ask(server, bearer(secret), revoke)).toEqual({
      // An error of one field is returned beside the data, with status 200 and the code FORBIDDEN.
      status: 200,
      body: { data: null, errors: [failure('FORBIDDEN', denied, 'revokeApiKey')] },
      headers: { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '59', 'x-ratelimit-reset': expect.any(String) },
    });
  });

  test('404: mutations of another person’s key return NotFoundError in the wording of the document', async () => {
    const { owner } = await aKey();
    const stranger = await aKey();
    expect(await updateApiKey(owner.client, { apiKeyId: stranger.apiKey.id, name: 'mine' })).toEqual({
      __typename: 'NotFoundError',
      code: 'NOT_FOUND',
      field: 'input.apiKeyId',
      message: 'There is no such resource.',
    });
  });
});
