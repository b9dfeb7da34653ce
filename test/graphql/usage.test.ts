import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../src/db/ids.js';
import { hashSecret, previewSecret } from '../../src/domain/access/secret-hash.js';
import { anOrganization, aPerson, charge, createApiKey, type Person, revokeApiKey, verify } from '../factories.js';
import type { UsageBucketSize } from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { type Client, expectMember, startServer, type TestServer } from '../harness.js';
import { readStatements } from './read-statements.js';

const keyUsageDocument = graphql(`
  query KeyUsageOfUsage($id: ID!, $from: DateTime!, $to: DateTime!, $bucket: UsageBucketSize) {
    apiKey(id: $id) { usage(from: $from, to: $to, bucket: $bucket) { startsAt requests refusals { code requests } credits } }
  }
`);

const workspaceUsageDocument = graphql(`
  query WorkspaceUsageOfUsage($workspaceId: ID!, $from: DateTime!, $to: DateTime!, $bucket: UsageBucketSize) {
    credits(workspaceId: $workspaceId) {
      usage(from: $from, to: $to, bucket: $bucket) { startsAt requests refusals { code requests } credits }
    }
  }
`);

const secretsDocument = graphql(`
  query SecretsOfUsage($id: ID!) {
    apiKey(id: $id) { preview lastUsedAt secrets { preview createdAt lastUsedAt retiresAt } }
  }
`);

const captureDocument = graphql(`
  mutation CaptureOfUsage($input: CaptureChargeInput!) {
    captureCharge(input: $input) { __typename ... on Error { code message } }
  }
`);

const deleteDocument = graphql(`
  mutation DeleteOfUsage($input: DeleteApiKeyInput!) {
    deleteApiKey(input: $input) { __typename ... on Error { code message } }
  }
`);

const hourMs = 3_600_000;

let server: TestServer;
let owner: Person;

beforeAll(async () => {
  server = await startServer();
  owner = await aPerson(server);
});

/** Moves the clock to the start of the next hour, so that a test stays in one. @returns that hour. */
function nextHour(): Date {
  const now = server.services.clock().getTime();
  const start = Math.ceil(now / hourMs) * hourMs;
  server.clock.advance(start - now);
  return new Date(start);
}

const hoursAfter = (time: Date, hours: number) => new Date(time.getTime() + hours * hourMs).toISOString();

async function usageOf(id: string, from: string, to: string, bucket: UsageBucketSize = 'HOUR', client = owner.client) {
  await server.services.uses.flush();
  return (await client.run(keyUsageDocument, { id, from, to, bucket })).apiKey?.usage;
}

/** The usage of a key in one hour. */
async function usageInHour(id: string, hour: Date) {
  return (await usageOf(id, hour.toISOString(), hoursAfter(hour, 1)))?.[0];
}

async function usageOfWorkspace(workspaceId: string, hour: Date, client: Client = owner.client) {
  await server.services.uses.flush();
  const variables = { workspaceId, from: hour.toISOString(), to: hoursAfter(hour, 1) };
  return (await client.run(workspaceUsageDocument, variables)).credits?.usage;
}

async function aKey(workspaceId?: string) {
  const { apiKey, secret } = await createApiKey(owner.client, {
    name: 'used',
    workspaceId: workspaceId ?? (await anOrganization(owner)),
    permissions: ['data:read'],
  });
  return { id: apiKey.id, secret };
}

describe('the usage of a key', () => {
  test('counts every verification in its hour, each refusal by its code, and the credits taken', async () => {
    const hour = nextHour();
    const { id, secret } = await aKey();
    await verify(server, secret, { requires: ['data:read'] });
    await charge(server, secret, { action: 'request', quantity: 3 });
    await charge(server, secret, { action: 'compute', quantity: 8 });
    await charge(server, secret, { action: 'request', quantity: 1_000 });
    await verify(server, secret, { requires: ['data:write'] });
    await verify(server, secret, { requires: ['data:write'] });
    expect(await usageOf(id, hoursAfter(hour, -1), hoursAfter(hour, 2))).toEqual([
      { startsAt: hoursAfter(hour, -1), requests: 0, refusals: [], credits: 0 },
      {
        startsAt: hour.toISOString(),
        requests: 6,
        refusals: [
          { code: 'FORBIDDEN', requests: 2 },
          { code: 'INSUFFICIENT_CREDITS', requests: 1 },
        ],
        credits: 7,
      },
      { startsAt: hoursAfter(hour, 1), requests: 0, refusals: [], credits: 0 },
    ]);
  });

  test('counts the credits of a charge once, however often the call is repeated', async () => {
    const hour = nextHour();
    const { id, secret } = await aKey();
    for (let tries = 0; tries < 3; tries += 1) {
      await charge(server, secret, { action: 'request', quantity: 2, idempotencyKey: 'once' });
    }
    expect(await usageInHour(id, hour)).toMatchObject({ requests: 3, refusals: [], credits: 2 });
  });

  test('counts the captured credits of a hold, in the hour of the capture', async () => {
    const hour = nextHour();
    const { id, secret } = await aKey();
    server.clock.advance(0.5 * hourMs);
    const verification = await charge(server, secret, { action: 'request', quantity: 9, hold: true });
    server.clock.advance(0.7 * hourMs);
    const input = { chargeId: verification.charge?.id ?? '', credits: 4 };
    for (let tries = 0; tries < 2; tries += 1) {
      const { captureCharge } = await server.backend.run(captureDocument, { input });
      expectMember(captureCharge, 'CaptureChargePayload');
    }
    expect(await usageOf(id, hour.toISOString(), hoursAfter(hour, 2))).toMatchObject([
      { requests: 1, refusals: [], credits: 0 },
      { requests: 0, refusals: [], credits: 4 },
    ]);
  });

  test('counts refused verifications of a revoked key, which the response does not identify', async () => {
    const hour = nextHour();
    const { id, secret } = await aKey();
    await revokeApiKey(owner.client, id);
    expect(await verify(server, secret)).toMatchObject({ code: 'INVALID_CREDENTIAL', apiKey: null });
    expect(await usageInHour(id, hour)).toMatchObject({
      requests: 1,
      refusals: [{ code: 'INVALID_CREDENTIAL', requests: 1 }],
    });
    expect((await owner.client.run(secretsDocument, { id })).apiKey?.lastUsedAt).toBeNull();
  });

  test('adds up the verifications of several servers', async () => {
    const hour = nextHour();
    const other = await startServer();
    other.clock.advance(hour.getTime() - Date.now());
    const { id, secret } = await aKey();
    const asked = await Promise.all([verify(server, secret), verify(other, secret), verify(other, secret)]);
    expect(asked.map(({ code }) => code)).toEqual(['VALID', 'VALID', 'VALID']);
    await Promise.all([server.services.uses.flush(), other.services.uses.flush()]);
    expect(await usageInHour(id, hour)).toMatchObject({ requests: 3 });
  });

  test('excludes requests of the key to this API, which still update its last use', async () => {
    const hour = nextHour();
    const { id, secret } = await aKey();
    const client = server.anonymous.with({ authorization: `Bearer ${secret}` });
    expect(await usageOf(id, hour.toISOString(), hoursAfter(hour, 1), 'HOUR', client)).toEqual([
      { startsAt: hour.toISOString(), requests: 0, refusals: [], credits: 0 },
    ]);
    await server.services.uses.flush();
    const { apiKey } = await owner.client.run(secretsDocument, { id });
    expect(apiKey?.lastUsedAt).not.toBeNull();
    expect(apiKey?.secrets[0]?.lastUsedAt).toBe(apiKey?.lastUsedAt);
  });

  test('is grouped by UTC days and months in whole buckets, for any offset of the range', async () => {
    const own = await startServer();
    const now = own.services.clock();
    const month = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
    const iso = (ms: number) => new Date(ms).toISOString();
    own.clock.advance(month - hourMs / 2 - now.getTime());
    const { id, secret } = await aKey();
    await verify(own, secret);
    own.clock.advance(hourMs);
    await verify(own, secret);
    await verify(own, secret);
    await own.services.uses.flush();

    const dayMs = 24 * hourMs;
    const seen = async (from: string, to: string, bucket: UsageBucketSize) =>
      (await usageOf(id, from, to, bucket))?.map(({ startsAt, requests }) => [startsAt, requests]);
    // 13:30 in UTC+14 is 23:30 of the previous day in UTC.
    const localTime = `${iso(month + 13.5 * hourMs).slice(0, -1)}+14:00`;
    expect(await seen(localTime, iso(month + 1), 'DAY')).toEqual([
      [iso(month - dayMs), 1],
      [iso(month), 2],
    ]);
    const previousMonth = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
    expect(await seen(iso(month - 1), iso(month + 1), 'MONTH')).toEqual([
      [iso(previousMonth), 1],
      [iso(month), 2],
    ]);
    expect(await seen(iso(month - 1), iso(month), 'HOUR')).toEqual([[iso(month - hourMs), 1]]);
  });

  test('is hidden from principals that cannot read the key', async () => {
    const hour = nextHour();
    const organization = await anOrganization(owner);
    const { id } = await aKey(organization);
    const sibling = await aKey(organization);
    const stranger = await aPerson(server, 'Sam');
    const from = hour.toISOString();
    const to = hoursAfter(hour, 1);
    const siblingClient = server.anonymous.with({ authorization: `Bearer ${sibling.secret}` });
    expect(await usageOf(id, from, to, 'HOUR', stranger.client)).toBeUndefined();
    expect(await usageOf(id, from, to, 'HOUR', siblingClient)).toBeUndefined();
    expect(await usageOf(id, from, to, 'HOUR', server.backend)).toHaveLength(1);
    expect(await usageOfWorkspace(organization, hour, stranger.client)).toBeUndefined();
  });
});

test('the usage of a workspace includes all of its keys, also deleted ones', async () => {
  const hour = nextHour();
  const workspaceId = await anOrganization(owner);
  const [kept, deleted] = [await aKey(workspaceId), await aKey(workspaceId)];
  const foreign = await aKey();
  await charge(server, kept.secret, { action: 'request', quantity: 2 });
  await verify(server, kept.secret, { requires: ['data:write'] });
  await charge(server, deleted.secret, { action: 'request', quantity: 3 });
  await verify(server, deleted.secret, { requires: ['data:write'] });
  await verify(server, foreign.secret);
  const { deleteApiKey } = await owner.client.run(deleteDocument, { input: { apiKeyId: deleted.id } });
  expectMember(deleteApiKey, 'DeleteApiKeyPayload');
  expect(await usageOfWorkspace(workspaceId, hour)).toEqual([
    { startsAt: hour.toISOString(), requests: 4, refusals: [{ code: 'FORBIDDEN', requests: 2 }], credits: 5 },
  ]);
});

describe('a range', () => {
  const from = '2030-01-01T00:00:00.000Z';
  const refused = [
    ['that is empty', from, from, 'HOUR', 'to', 'It must be later than `from`.'],
    ['that runs backwards', from, '2029-01-01T00:00:00Z', 'DAY', 'to', 'It must be later than `from`.'],
    [
      'of 1,001 hours',
      from,
      '2030-02-11T16:00:00.001Z',
      'HOUR',
      'to',
      'At most 1000 hours can be asked for at once. Ask for a shorter time or larger buckets.',
    ],
    [
      'of 401 days',
      from,
      '2031-02-05T00:00:00.001Z',
      'DAY',
      'to',
      'At most 400 days can be asked for at once. Ask for a shorter time or larger buckets.',
    ],
    [
      'of 37 months',
      from,
      '2033-01-01T00:00:00.001Z',
      'MONTH',
      'to',
      'At most 36 months can be asked for at once. Ask for a shorter time.',
    ],
    [
      'of all time',
      '1970-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
      'HOUR',
      'to',
      'At most 1000 hours can be asked for at once. Ask for a shorter time or larger buckets.',
    ],
    ['before 1970', '0000-01-01T00:00:00+14:00', from, 'MONTH', 'from', 'There was no usage before 1970.'],
  ] as const;

  test.each(refused)('%s is refused with the name of its argument', async (_what, from, to, bucket, field, message) => {
    const { id } = await aKey();
    const { data, errors } = await owner.client.send(keyUsageDocument.toString(), { id, from, to, bucket });
    expect(data).toEqual({ apiKey: null });
    expect(errors).toMatchObject([
      { message, path: ['apiKey', 'usage'], extensions: { code: 'BAD_USER_INPUT', field } },
    ]);
  });

  test.each([
    ['HOUR', '2030-02-11T16:00:00Z', 1_000],
    ['DAY', '2031-02-05T00:00:00Z', 400],
    ['MONTH', '2033-01-01T00:00:00Z', 36],
  ] as const)('with the maximum number of buckets of %s is accepted', async (bucket, to, count) => {
    const { id } = await aKey();
    expect(await usageOf(id, from, to, bucket)).toHaveLength(count);
  });

  const chartOf = (hours: number) => `{
    apiKeys(first: 100) { nodes { name usage(from: "${from}", to: "${hoursAfter(new Date(from), hours)}") { startsAt requests credits } } }
  }`;

  test('of a day is accepted for a page of keys, and of a month in hours exceeds the query limits', async () => {
    expect((await owner.client.send(chartOf(24))).errors).toEqual([]);
    expect((await owner.client.send(chartOf(24 * 30))).errors).toMatchObject([
      { extensions: { code: 'BAD_USER_INPUT', field: 'query' } },
    ]);
  });
});

describe('the secrets of a key', () => {
  test('are listed newest first with their last use and retirement time', async () => {
    const { id, secret } = await aKey();
    const { workspaceId } = await server.services.db.apiKey.findUniqueOrThrow({ where: { id } });
    const newer = `${secret.slice(0, -4)}next`;
    const createdAt = server.services.clock();
    await server.services.db.keySecret.create({
      data: {
        id: newId('keySecret'),
        workspaceId,
        apiKeyId: id,
        hash: hashSecret(newer),
        preview: previewSecret(newer),
        createdAt,
      },
    });
    await verify(server, secret);
    await server.services.uses.flush();
    const { apiKey } = await owner.client.run(secretsDocument, { id });
    expect(apiKey).toEqual({
      preview: 'next',
      lastUsedAt: expect.any(String),
      secrets: [
        { preview: 'next', createdAt: createdAt.toISOString(), lastUsedAt: null, retiresAt: null },
        { preview: secret.slice(-4), createdAt: expect.any(String), lastUsedAt: apiKey?.lastUsedAt, retiresAt: null },
      ],
    });
  });

  test('are limited to the newest 20', async () => {
    const { id } = await aKey();
    const { workspaceId } = await server.services.db.apiKey.findUniqueOrThrow({ where: { id } });
    const previews = Array.from({ length: 25 }, (_, index) => String(1_000 + index));
    for (const preview of previews) {
      const secret = { id: newId('keySecret'), workspaceId, apiKeyId: id, hash: randomBytes(32), preview };
      await server.services.db.keySecret.create({ data: secret });
    }
    const { apiKey } = await owner.client.run(secretsDocument, { id });
    expect(apiKey?.secrets.map(({ preview }) => preview)).toEqual(previews.toReversed().slice(0, 20));
  });
});

test('usage, secrets and previews of many keys take one statement each', async () => {
  const workspaceId = await anOrganization(owner);
  await aKey(workspaceId);
  const document = `query ($workspaceId: ID!) {
    apiKeys(workspaceId: $workspaceId, first: 50) {
      nodes {
        preview
        secrets { preview }
        usage(from: "2030-01-01T00:00:00Z", to: "2030-01-02T00:00:00Z") { requests }
        days: usage(from: "2030-01-01T01:00:00Z", to: "2030-01-01T23:30:00Z", bucket: DAY) { requests }
      }
    }
  }`;
  const read = async (count: number) => {
    const statements = await readStatements(async () => {
      const { data } = await owner.client.send<{ apiKeys: { nodes: unknown[] } }>(document, { workspaceId });
      expect(data?.apiKeys.nodes).toHaveLength(count);
    });
    return statements.length;
  };
  const statementsOfOne = await read(1);
  for (let keys = 1; keys < 6; keys += 1) await aKey(workspaceId);
  expect(await read(6)).toBe(statementsOfOne);
});
