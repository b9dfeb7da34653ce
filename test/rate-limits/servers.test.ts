import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { createSharedLimiter } from '../../src/domain/rate-limits/open-limiter.js';
import { aPerson, createApiKey } from '../factories.js';
import { startServer } from '../harness.js';
import { productFile } from './product.js';
import { aPrefix, aProxy, describeWithRedis, redisUrl, someWindows } from './redis.js';

interface Verified {
  readonly code: string;
  readonly headers: readonly { name: string; value: string }[];
}

const verifications = (count: number, secret: string) =>
  `mutation { ${Array.from(
    { length: count },
    (_, index) =>
      `v${index}: verifyApiKey(input: { credential: { bearer: "${secret}" } }) { code headers { name value } }`,
  ).join('\n')} }`;

/** Two servers on one database and one Redis, like two processes, and a key that both accept. */
async function twoServers(product: string, url = redisUrl()) {
  const keyPrefix = aPrefix();
  const [one, other] = await Promise.all(
    [1, 2].map(async () => {
      const { windows } = await someWindows({ keyPrefix, url });
      return startServer({ products: [product], limiter: createSharedLimiter(windows) });
    }),
  );
  if (!one || !other) throw new Error('There are two servers.');
  const { client } = await aPerson(one);
  const { apiKey, secret } = await createApiKey(client, { name: 'shared' });
  return { one, other, keyPrefix, apiKey, secret, ownHeaders: { authorization: `Bearer ${secret}` } };
}

describeWithRedis('servers that share a Redis', () => {
  test('share the limits of a key, for verifications and for its own requests', async () => {
    const { one, other, secret, ownHeaders } = await twoServers('masko');
    const answers = await Promise.all(
      [one, other].flatMap((server) =>
        Array.from({ length: 4 }, () => server.backend.send<Record<string, Verified>>(verifications(10, secret))),
      ),
    );
    const verified = answers.flatMap(({ data }) => Object.values(data ?? {}));
    expect(verified.filter(({ code }) => code === 'VALID')).toHaveLength(60);
    expect(verified.filter(({ code }) => code === 'RATE_LIMITED')).toHaveLength(20);
    for (const server of [one, other]) {
      const own = await server.anonymous.with(ownHeaders).send('{ viewer { kind } }');
      expect(own).toMatchObject({ status: 429, data: null, errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
      expect(own.headers.get('ratelimit-policy')).toBe('"minute";q=60;w=60, "hour";q=1000;w=3600');
      expect(own.headers.get('ratelimit')).toMatch(/^"minute";r=0;t=\d\d, "hour";r=940;t=3[56]\d\d$/);
      expect(Number(own.headers.get('retry-after'))).toBeGreaterThan(30);
    }
  });

  test('share the limits of attempts to sign in', async () => {
    const { one, other } = await twoServers('masko');
    const body = JSON.stringify({ email: `${randomUUID()}@example.com`, password: 'a wrong password' });
    const statuses: number[] = [];
    for (let tries = 0; tries < 12; tries += 1) {
      const server = tries % 2 ? other : one;
      const headers = { 'content-type': 'application/json' };
      const response = await server.fetch('/api/auth/sign-in/email', { method: 'POST', headers, body });
      statuses.push(response.status);
    }
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
  });

  test('return the shared state in both forms of rate limit headers of a verification', async () => {
    const { one, other, secret } = await twoServers('masko');
    await one.backend.send(verifications(3, secret));
    const { data } = await other.backend.send<Record<string, Verified>>(verifications(1, secret));
    expect(data?.v0).toEqual({
      code: 'VALID',
      headers: [
        { name: 'X-RateLimit-Limit', value: '60' },
        { name: 'X-RateLimit-Remaining', value: '56' },
        { name: 'X-RateLimit-Reset', value: expect.stringMatching(/^\d{10}$/) },
        { name: 'RateLimit-Policy', value: '"minute";q=60;w=60, "hour";q=1000;w=3600' },
        { name: 'RateLimit', value: expect.stringMatching(/^"minute";r=56;t=\d\d, "hour";r=996;t=3[56]\d\d$/) },
      ],
    });
  });

  test('store ids and no secrets in the names of Redis keys', async () => {
    const { one, keyPrefix, apiKey, secret } = await twoServers('masko');
    await one.backend.send(verifications(1, secret));
    const redis = new Redis(redisUrl());
    onTestFinished(() => redis.disconnect());
    const names: string[] = [];
    for await (const found of redis.scanStream({ match: `${keyPrefix}*`, count: 1_000 })) names.push(...found);
    const { id } = await one.services.db.apiKey.findFirstOrThrow({
      where: { secrets: { some: { preview: apiKey.preview } } },
    });
    expect(names).toContain(keyPrefix + id);
    expect(names.join()).not.toContain(secret.slice(-12));
  });

  test('answer 503 for a closed product during an outage of Redis, charge nothing, and still reject missing permissions', async () => {
    const proxy = await aProxy();
    const product = await productFile({
      rateLimits: [{ limit: 5, windowSeconds: 60 }],
      rateLimitFallback: 'closed',
      prices: { call: { credits: 1, unit: 'call', description: 'A call.' } },
      freeCredits: 10,
      permissions: { 'map:update': { description: 'No key may.', grantable: false } },
    });
    const { one, secret, ownHeaders } = await twoServers(product, proxy.url);
    await proxy.refuse();
    const unavailable = {
      status: 503,
      data: null,
      errors: [
        {
          message: 'The rate limits cannot be checked now. Try again in a moment.',
          extensions: { code: 'SERVICE_UNAVAILABLE' },
        },
      ],
    };
    const charging = `mutation { verifyApiKey(input: { credential: { bearer: "${secret}" }, charge: { action: "call" } }) { code } }`;
    expect(await one.backend.send(charging)).toMatchObject(unavailable);
    const own = await one.anonymous.with(ownHeaders).send('{ credits { balance } }');
    expect(own).toMatchObject(unavailable);
    expect([...own.headers.keys()].filter((name) => name.includes('ratelimit'))).toEqual([]);

    const forbidden = `mutation { verifyApiKey(input: { credential: { bearer: "${secret}" }, requires: ["map:update"] }) {
      code rateLimits { remaining } headers { name } } }`;
    expect((await one.backend.send(forbidden)).data).toEqual({
      verifyApiKey: { code: 'FORBIDDEN', rateLimits: [], headers: [] },
    });

    await proxy.reopen();
    await expect
      .poll(async () => (await one.anonymous.with(ownHeaders).send('{ credits { balance } }')).data, {
        timeout: 10_000,
      })
      .toEqual({
        credits: { balance: 10 },
      });
  });
});
