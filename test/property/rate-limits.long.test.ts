import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRollingWindows } from '../../src/domain/rate-limits/rolling-windows.js';
import { aPerson, createApiKey, verify } from '../factories.js';
import { startServer } from '../harness.js';
import { decideNaively, expectKept, gapMs, limits, request } from '../rate-limits/model.js';
import { countBy } from './credit-operations.js';

describe('rolling windows in memory', () => {
  test('decide like a complete request history, never exceed the limit in any window, and count no refused request', () => {
    fc.assert(
      fc.property(limits, fc.array(request, { maxLength: 40, size: 'max' }), (limits, requests) => {
        const limiter = createRollingWindows();
        const startMs = Date.UTC(2030, 0, 1);
        const times: Record<string, number[]> = { a: [], b: [] };
        let nowMs = startMs;
        for (const { gapMs, key, isTake } of requests) {
          nowMs += gapMs;
          const own = times[key] ?? [];
          const expected = decideNaively(own, limits, nowMs, isTake);
          const decision = limiter[isTake ? 'take' : 'peek'](key, limits, new Date(nowMs));
          expect(decision).toEqual(expected);
          if (isTake && decision.allowed) own.push(nowMs);
          if (decision.allowed) continue;
          const later = (seconds: number) => limiter.peek(key, limits, new Date(nowMs + seconds * 1_000));
          expect(later(decision.retryAfterSeconds)).toMatchObject({ allowed: true });
          expect(later(decision.retryAfterSeconds - 1)).toMatchObject({ allowed: false });
        }
        for (const own of Object.values(times)) expectKept(own, limits);
      }),
      { numRuns: 150 },
    );
  });

  test('never exceed the limit in any window when request times are out of order', async () => {
    const behindMs = fc.integer({ min: 0, max: 900 });
    const requests = fc.array(fc.tuple(gapMs, behindMs), { maxLength: 80, size: 'max' });
    await fc.assert(
      fc.asyncProperty(limits, requests, async (limits, requests) => {
        const limiter = createRollingWindows();
        const times: number[] = [];
        let nowMs = Date.UTC(2030, 0, 1);
        for (const [gapMs, behindMs] of requests) {
          nowMs += gapMs;
          const saidMs = nowMs - behindMs;
          // The limiter does not let time go back.
          if ((await limiter.take('a', limits, new Date(saidMs))).allowed)
            times.push(Math.max(saidMs, times.at(-1) ?? 0));
        }
        expectKept(times, limits);
      }),
      { numRuns: 150 },
    );
  });

  test('allow exactly the limit for any number of simultaneous requests', () => {
    const limiter = createRollingWindows();
    const now = new Date('2030-01-01T00:00:00Z');
    const limits = [
      { limit: 60, windowSeconds: 60 },
      { limit: 1_000, windowSeconds: 3_600 },
    ];
    let letThrough = 0;
    for (let minute = 0; minute < 60; minute += 1) {
      const at = new Date(now.getTime() + minute * 60_000);
      const decisions = Array.from({ length: 100 }, () => limiter.take('a', limits, at));
      letThrough += decisions.filter(({ allowed }) => allowed).length;
    }
    expect(letThrough).toBe(1_000);
    const refused = limiter.take('a', limits, new Date(now.getTime() + 3_599_001));
    expect(refused).toMatchObject({ allowed: false, retryAfterSeconds: 1 });
    expect(limiter.take('a', limits, new Date(now.getTime() + 3_600_000))).toMatchObject({ allowed: true });
  });
});

describe('rate limits through the schema', () => {
  const verifications = (count: number, secret: string) =>
    `mutation { ${Array.from(
      { length: count },
      (_, index) => `v${index}: verifyApiKey(input: { credential: { bearer: "${secret}" } }) {
        code rateLimits { limit remaining resetAt } headers { name value } }`,
    ).join('\n')} }`;

  interface Verified {
    readonly code: string;
    readonly rateLimits: readonly { limit: number; remaining: number; resetAt: string }[];
    readonly headers: readonly { name: string; value: string }[];
  }

  async function aLimitedKey() {
    const server = await startServer({ products: ['masko'] });
    const person = await aPerson(server);
    const { secret } = await createApiKey(person.client, { name: 'ci' });
    return { server, secret };
  }

  const secondsOf = ({ headers }: Verified) => Number(headers.find(({ name }) => name === 'Retry-After')?.value);

  test('allow 60 of 61 verifications of a key in one request, and the next one after Retry-After', async () => {
    const { server, secret } = await aLimitedKey();
    const { data } = await server.backend.send<Record<string, Verified>>(verifications(61, secret));
    const answers = Object.values(data ?? {});
    expect(answers.map(({ code }) => code)).toEqual([...Array.from({ length: 60 }, () => 'VALID'), 'RATE_LIMITED']);
    expect(answers.map(({ rateLimits }) => rateLimits[0]?.remaining)).toEqual([
      ...Array.from({ length: 60 }, (_, index) => 59 - index),
      0,
    ]);
    const [refused] = answers.slice(-1);
    if (!refused) throw new Error('There are 61 answers.');
    // The refused one is not counted in any window.
    expect(refused.rateLimits[1]?.remaining).toBe(940);
    const seconds = secondsOf(refused);
    expect(seconds).toBeGreaterThan(50);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(await verify(server, secret)).toMatchObject({ code: 'RATE_LIMITED', rejection: { status: 429 } });
    server.clock.advance(seconds * 1_000);
    expect(await verify(server, secret)).toMatchObject({ code: 'VALID' });
  });

  test('are shared by concurrent requests with several verifications of one key each', async () => {
    const { server, secret } = await aLimitedKey();
    const responses = await Promise.all(
      Array.from({ length: 12 }, () => server.backend.send<Record<string, Verified>>(verifications(10, secret))),
    );
    const codes = responses.flatMap(({ data }) => Object.values(data ?? {}).map(({ code }) => code));
    expect(countBy(codes, (code) => code)).toEqual({ VALID: 60, RATE_LIMITED: 60 });
  });

  test('count the own requests of a key in the same windows as its verifications', async () => {
    const { server, secret } = await aLimitedKey();
    const own = server.anonymous.with({ authorization: `Bearer ${secret}` });
    await server.backend.send(verifications(59, secret));
    const last = await own.send('{ viewer { kind } }');
    expect(last).toMatchObject({ status: 200, data: { viewer: { kind: 'API_KEY' } } });
    expect(last.headers.get('x-ratelimit-remaining')).toBe('0');
    const refused = await own.send('{ viewer { kind } }');
    expect(refused).toMatchObject({ status: 429, data: null, errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
    expect(await verify(server, secret)).toMatchObject({ code: 'RATE_LIMITED' });
    server.clock.advance(Number(refused.headers.get('retry-after')) * 1_000);
    expect(await own.send('{ viewer { kind } }')).toMatchObject({ status: 200 });
  });
});
