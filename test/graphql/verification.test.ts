import { describe, expect, test } from 'vitest';
import { aPerson, createApiKey, type Person, revokeApiKey, verify } from '../factories.js';
import type { CreateApiKeyInput, VerifyApiKeyInput } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { aServer, startServer, type TestServer } from '../harness.js';

const updateDocument = graphql(`
  mutation UpdateOfVerification($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { __typename } }
`);

const suspendDocument = graphql(`
  mutation SuspendOfVerification($input: SuspendWorkspaceInput!) { suspendWorkspace(input: $input) { __typename } }
`);

const manyDocument = graphql(`
  mutation ManyOfVerification($inputs: [VerifyApiKeyInput!]!) { verifyApiKeys(inputs: $inputs) { code } }
`);

type Question = Omit<VerifyApiKeyInput, 'credential'>;

interface Case {
  readonly server: TestServer;
  readonly person: Person;
  readonly apiKeyId: string;
  bearer: string;
  question: Question;
}

/** Each way in which a verification can fail, in the order of the checks. */
const faults: readonly { readonly code: string; readonly what: string; readonly make: (its: Case) => unknown }[] = [
  {
    code: 'MISSING_CREDENTIAL',
    what: 'no credential',
    make: (its) => {
      its.bearer = '';
    },
  },
  {
    code: 'INVALID_CREDENTIAL',
    what: 'one mistyped character',
    make: (its) => {
      its.bearer = mistype(its.bearer);
    },
  },
  {
    code: 'INVALID_CREDENTIAL',
    what: 'a revoked key',
    make: ({ person, apiKeyId }) => revokeApiKey(person.client, apiKeyId),
  },
  { code: 'INVALID_CREDENTIAL', what: 'a key of another product', make: (its) => ask(its, { product: 'masko' }) },
  {
    code: 'INVALID_CREDENTIAL',
    what: 'a key for the other environment',
    make: (its) => ask(its, { environment: 'TEST' }),
  },
  {
    code: 'DISABLED',
    what: 'a key that is switched off',
    make: ({ person, apiKeyId }) => person.client.run(updateDocument, { input: { apiKeyId, enabled: false } }),
  },
  { code: 'EXPIRED', what: 'a key whose time is over', make: ({ server }) => server.clock.advance(lifetimeMs) },
  { code: 'ORIGIN_NOT_ALLOWED', what: 'another origin', make: (its) => ask(its, { origin: 'https://b.example.com' }) },
  {
    code: 'FORBIDDEN',
    what: 'a permission that the key does not hold',
    make: (its) => ask(its, { requires: ['data:write', ...(its.question.requires ?? [])] }),
  },
  {
    code: 'WORKSPACE_SUSPENDED',
    what: 'a suspended workspace',
    make: ({ server, person }) =>
      server.backend.run(suspendDocument, { input: { workspaceId: person.personalWorkspaceId } }),
  },
  {
    code: 'FEATURE_DISABLED',
    what: 'a permission whose feature is off',
    make: (its) => ask(its, { requires: ['export:create', ...(its.question.requires ?? [])] }),
  },
  { code: 'RATE_LIMITED', what: 'a rate limit that is used up', make: useUp },
  {
    code: 'INSUFFICIENT_CREDITS',
    what: 'more than there is',
    make: (its) => ask(its, { charge: { action: 'request', quantity: 101 } }),
  },
];

const lifetimeMs = 20_000;

function ask(its: Case, more: Question): void {
  its.question = { ...its.question, ...more };
}

/** A secret with another last character, so that its checksum is wrong. */
function mistype(secret: string): string {
  return `${secret.slice(0, -1)}${secret.endsWith('a') ? 'b' : 'a'}`;
}

/** Uses up the 60 requests of the minute. The key must still be valid. */
async function useUp({ server, bearer }: Case): Promise<void> {
  const inputs = Array.from({ length: 60 }, () => ({ credential: { bearer } }));
  const { verifyApiKeys } = await server.backend.run(manyDocument, { inputs });
  expect(verifyApiKeys.every((each) => each?.code === 'VALID')).toBe(true);
}

const rejections: Readonly<Record<string, { status: number; code: string; message: string }>> = {
  MISSING_CREDENTIAL: { status: 401, code: 'missing_credential', message: 'Send an API key.' },
  INVALID_CREDENTIAL: { status: 401, code: 'invalid_credential', message: 'The API key is not valid.' },
  DISABLED: { status: 401, code: 'key_disabled', message: 'The API key is disabled.' },
  EXPIRED: { status: 401, code: 'key_expired', message: 'The API key has expired.' },
  ORIGIN_NOT_ALLOWED: {
    status: 403,
    code: 'origin_not_allowed',
    message: 'The API key may not be used from this origin.',
  },
  FORBIDDEN: { status: 403, code: 'forbidden', message: 'The API key does not hold the required permission.' },
  WORKSPACE_SUSPENDED: { status: 403, code: 'workspace_suspended', message: 'The workspace is suspended.' },
  FEATURE_DISABLED: { status: 403, code: 'feature_disabled', message: 'This feature is off for the workspace.' },
  RATE_LIMITED: { status: 429, code: 'rate_limited', message: 'Too many requests. Wait and try again.' },
  INSUFFICIENT_CREDITS: { status: 402, code: 'insufficient_credits', message: 'Not enough credits.' },
};

const masko = { status: 401, code: '401', message: 'The API key is missing or not valid.' };

describe('the order of the checks', () => {
  test.each(faults.map((fault, index) => [fault.what, fault.code, index] as const))(
    '%s returns %s, whichever later checks fail too',
    async (_what, code, index) => {
      const server = await startServer();
      const person = await aPerson(server);
      const { apiKey, secret } = await createApiKey(person.client, {
        name: 'ci',
        permissions: ['data:read', 'export:create'],
        allowedOrigins: ['https://a.example.com'],
        expiresAt: new Date(Date.now() + lifetimeMs).toISOString(),
      });
      const its: Case = { server, person, apiKeyId: apiKey.id, bearer: secret, question: {} };
      // In reverse order: using up a limit requires a valid key, and disabling one that is not revoked.
      for (const fault of faults.slice(index).toReversed()) await fault.make(its);

      const known = code !== 'MISSING_CREDENTIAL' && code !== 'INVALID_CREDENTIAL';
      // The wording of a refusal is that of the requested product.
      const rejection = its.question.product === 'masko' ? masko : rejections[code];
      expect(await verify(server, its.bearer, its.question)).toEqual({
        valid: false,
        code,
        rejection,
        apiKey: known ? { id: apiKey.id, name: 'ci' } : null,
        workspace: known ? { id: person.personalWorkspaceId } : null,
        billable: false,
        watermark: false,
        charge: null,
        rateLimits: known ? [expect.objectContaining({ limit: 60 }), expect.objectContaining({ limit: 1_000 })] : [],
        headers: known ? expect.arrayContaining([{ name: 'X-RateLimit-Limit', value: '60' }]) : [],
      });
    },
  );

  test('a request without faults returns VALID and is charged', async () => {
    const server = await aServer();
    const person = await aPerson(server);
    const { apiKey, secret } = await createApiKey(person.client, {
      name: 'ci',
      allowedOrigins: ['https://a.example.com'],
    });
    const question: Question = {
      product: 'default',
      environment: 'LIVE',
      origin: 'https://a.example.com',
      requires: ['data:read', 'data:write'],
      charge: { action: 'compute', quantity: 2.5 },
    };
    expect(await verify(server, secret, question)).toEqual({
      valid: true,
      code: 'VALID',
      rejection: null,
      apiKey: { id: apiKey.id, name: 'ci' },
      workspace: { id: person.personalWorkspaceId },
      billable: true,
      watermark: false,
      charge: { id: expect.stringMatching(/^chg_/), credits: 2, balanceAfter: 98, replayed: false, state: 'POSTED' },
      rateLimits: [
        { limit: 60, windowSeconds: 60, remaining: 59, resetAt: expect.any(String) },
        { limit: 1_000, windowSeconds: 3_600, remaining: 999, resetAt: expect.any(String) },
      ],
      headers: expect.arrayContaining([
        { name: 'X-RateLimit-Limit', value: '60' },
        { name: 'X-RateLimit-Remaining', value: '59' },
        { name: 'X-RateLimit-Reset', value: expect.stringMatching(/^\d+$/) },
      ]),
    });
  });
});

async function aKey(input: Partial<CreateApiKeyInput> = {}) {
  const server = await aServer();
  const person = await aPerson(server);
  return { server, person, ...(await createApiKey(person.client, { name: 'ci', ...input })) };
}

test('unknown, mistyped, revoked, deleted and foreign keys return the same result to the caller', async () => {
  const { server, person, secret, apiKey } = await aKey();
  const { secret: deleted, apiKey: gone } = await createApiKey(person.client, { name: 'deleted' });
  const { secret: other } = await createApiKey(person.client, { name: 'other', product: 'masko' });
  await revokeApiKey(person.client, apiKey.id);
  await person.client.send('mutation ($id: ID!) { deleteApiKey(input: { apiKeyId: $id }) { __typename } }', {
    id: gone.id,
  });
  const unknown = `mk_pub_${'0'.repeat(32)}`;
  const answers = await Promise.all(
    [secret, deleted, other, mistype(secret), unknown, 'nonsense'].map((bearer) =>
      verify(server, bearer, { product: 'default' }),
    ),
  );
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(answers[0]).toMatchObject({ code: 'INVALID_CREDENTIAL', rejection: rejections.INVALID_CREDENTIAL });
});

describe('allowed origins', () => {
  test.each([
    [null, 'VALID'],
    ['', 'VALID'],
    ['https://a.example.com', 'VALID'],
    ['HTTPS://A.Example.COM', 'VALID'],
    ['https://a.example.com:443', 'VALID'],
    ['http://localhost:3000', 'VALID'],
    ['null', 'ORIGIN_NOT_ALLOWED'],
    ['http://a.example.com', 'ORIGIN_NOT_ALLOWED'],
    ['https://a.example.com:8443', 'ORIGIN_NOT_ALLOWED'],
    ['https://b.a.example.com', 'ORIGIN_NOT_ALLOWED'],
    ['https://example.com', 'ORIGIN_NOT_ALLOWED'],
    ['http://localhost', 'ORIGIN_NOT_ALLOWED'],
  ])('%s: a key restricted to two origins returns %s', async (origin, code) => {
    const { server, secret } = await aKey({ allowedOrigins: ['https://a.example.com', 'http://localhost:3000'] });
    expect(await verify(server, secret, { origin })).toMatchObject({ code });
  });

  test('a key without allowed origins is accepted from any origin', async () => {
    const { server, secret } = await aKey();
    for (const origin of ['https://anywhere.example.com', 'null']) {
      expect(await verify(server, secret, { origin })).toMatchObject({ code: 'VALID' });
    }
  });
});

describe('required permissions', () => {
  test.each<[string[], string]>([
    [[], 'VALID'],
    [['data:read'], 'VALID'],
    [['data:read', 'data:read'], 'VALID'],
    [['data:read', 'data:write'], 'FORBIDDEN'],
    [['internal:call'], 'FORBIDDEN'],
    [['render:create'], 'FORBIDDEN'],
  ])('%j: a key with data:read returns %s', async (requires, code) => {
    const { server, secret } = await aKey({ permissions: ['data:read'] });
    expect(await verify(server, secret, { requires })).toMatchObject({ code });
  });

  test('a permission of a feature is granted only while the feature is enabled', async () => {
    const { server, person, secret } = await aKey();
    const ask = () => verify(server, secret, { requires: ['export:create'] });
    const turn = (mutation: string) =>
      person.client.send(
        `mutation ($id: ID!) { ${mutation}(input: { workspaceId: $id, product: "default", feature: "exports" }) { __typename } }`,
        {
          id: person.personalWorkspaceId,
        },
      );
    expect(await ask()).toMatchObject({ code: 'FEATURE_DISABLED' });
    await turn('enableFeature');
    expect(await ask()).toMatchObject({ code: 'VALID' });
    await turn('disableFeature');
    expect(await ask()).toMatchObject({ code: 'FEATURE_DISABLED' });
  });
});

describe('charges', () => {
  test('a test key is free and watermarked, and its charge is still recorded', async () => {
    const { server, secret } = await aKey({ environment: 'TEST' });
    expect(await verify(server, secret, { charge: { action: 'request', quantity: 1_000 } })).toMatchObject({
      valid: true,
      billable: false,
      watermark: true,
      charge: { credits: 0, balanceAfter: 100, state: 'POSTED' },
    });
  });

  test('an action with an idempotency key is charged once, even if the retry has other inputs', async () => {
    const { server, secret } = await aKey();
    const first = await verify(server, secret, { charge: { action: 'request', quantity: 3, idempotencyKey: 'job-1' } });
    expect(first.charge).toMatchObject({ credits: 3, balanceAfter: 97, replayed: false });
    const again = await verify(server, secret, {
      charge: { action: 'nonsense', quantity: 50, hold: true, idempotencyKey: 'job-1' },
    });
    expect(again.charge).toEqual({ ...first.charge, replayed: true });
  });

  test('a refused charge takes no credits, and the available credits can still be spent', async () => {
    const { server, secret } = await aKey();
    const spend = (quantity: number) => verify(server, secret, { charge: { action: 'request', quantity } });
    expect(await spend(101)).toMatchObject({ valid: false, code: 'INSUFFICIENT_CREDITS', charge: null });
    expect(await spend(100)).toMatchObject({ valid: true, charge: { balanceAfter: 0 } });
    expect(await spend(1)).toMatchObject({ valid: false, code: 'INSUFFICIENT_CREDITS' });
  });

  test('a refusal by an earlier check takes no credits', async () => {
    const { server, person, secret, apiKey } = await aKey();
    await person.client.run(updateDocument, { input: { apiKeyId: apiKey.id, enabled: false } });
    expect(await verify(server, secret, { charge: { action: 'request' } })).toMatchObject({
      code: 'DISABLED',
      charge: null,
    });
    expect((await person.client.send('{ credits { balance } }')).data).toEqual({ credits: { balance: 100 } });
  });
});

describe('a header pair', () => {
  test('is valid only if both halves are present and belong together', async () => {
    const { server, person, secret, apiKey } = await aKey({ product: 'makepay' });
    const other = await createApiKey(person.client, { name: 'other', product: 'makepay' });
    const keyId = apiKey.keyId ?? '';
    const otherId = other.apiKey.keyId ?? '';
    const cases: readonly (readonly [keyId: string, secret: string, code: string])[] = [
      [keyId, secret, 'VALID'],
      [otherId, other.secret, 'VALID'],
      [keyId, '', 'MISSING_CREDENTIAL'],
      ['', secret, 'MISSING_CREDENTIAL'],
      ['', '', 'MISSING_CREDENTIAL'],
      [keyId, other.secret, 'INVALID_CREDENTIAL'],
      [otherId, secret, 'INVALID_CREDENTIAL'],
      [`${keyId}x`, secret, 'INVALID_CREDENTIAL'],
      [keyId, `${secret}x`, 'INVALID_CREDENTIAL'],
      [secret, keyId, 'INVALID_CREDENTIAL'],
    ];
    for (const [id, half, code] of cases) {
      expect(await verify(server, { pair: { keyId: id, secret: half } }), `${id} ${half}`).toMatchObject({ code });
    }
    expect(await verify(server, secret)).toMatchObject({ code: 'INVALID_CREDENTIAL' });
  });
});

test('a refusal by a rate limit returns Retry-After and does not count against the limit', async () => {
  const server = await startServer();
  const person = await aPerson(server);
  const { apiKey, secret } = await createApiKey(person.client, { name: 'ci' });
  await useUp({ server, person, apiKeyId: apiKey.id, bearer: secret, question: {} });
  for (const _time of ['once', 'twice']) {
    const { headers, rateLimits } = await verify(server, secret);
    expect(rateLimits[0]).toMatchObject({ limit: 60, remaining: 0 });
    expect(headers).toContainEqual({ name: 'Retry-After', value: expect.stringMatching(/^(5\d|60)$/) });
  }
  server.clock.advance(60_000);
  expect(await verify(server, secret)).toMatchObject({
    code: 'VALID',
    rateLimits: [{ remaining: 59 }, { remaining: 939 }],
  });
});
