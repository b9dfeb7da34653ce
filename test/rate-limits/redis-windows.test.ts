import fc from 'fast-check';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { createRollingWindows } from '../../src/domain/rate-limits/rolling-windows.js';
import { decideNaively, expectKept, limits, request } from './model.js';
import { aPrefix, aProxy, describeWithRedis, redisUrl, someWindows } from './redis.js';

const minuteAndHour = [
  { limit: 60, windowSeconds: 60 },
  { limit: 1_000, windowSeconds: 3_600 },
];

describeWithRedis('rate limit windows in Redis', () => {
  test('decide any sequence of requests like the windows in memory and like a complete request history', async () => {
    const { windows } = await someWindows({ usesCallersTime: true });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(limits, fc.array(request, { maxLength: 40, size: 'max' }), async (limits, requests) => {
        run += 1;
        const inMemory = createRollingWindows();
        const times: Record<string, number[]> = { a: [], b: [] };
        let nowMs = Date.UTC(2030, 0, 1);
        for (const { gapMs, key, isTake } of requests) {
          nowMs += gapMs;
          const now = new Date(nowMs);
          const own = times[key] ?? [];
          const method = isTake ? 'take' : 'peek';
          const expected = decideNaively(own, limits, nowMs, isTake);
          expect(await windows[method](`${run}:${key}`, limits, now)).toEqual(expected);
          expect(inMemory[method](key, limits, now)).toEqual(expected);
          if (isTake && expected.allowed) own.push(nowMs);
        }
        for (const own of Object.values(times)) expectKept(own, limits);
      }),
      { numRuns: 150 },
    );
  });

  test('tolerate a clock that goes back by up to the longest window, like those in memory', async () => {
    const { windows } = await someWindows({ usesCallersTime: true });
    const inMemory = createRollingWindows();
    const limits = [{ limit: 2, windowSeconds: 10 }];
    const startMs = Date.UTC(2030, 0, 1);
    const answers = [];
    for (const seconds of [100, 101, 95, 91, 90, 89, 99, 100]) {
      const now = new Date(startMs + seconds * 1_000);
      const decision = inMemory.take('a', limits, now);
      expect(await windows.take('a', limits, now)).toEqual(decision);
      answers.push([seconds, decision.allowed, decision.states[0]?.remaining]);
    }
    expect(answers).toEqual([
      [100, true, 1],
      [101, true, 0],
      [95, false, 0],
      [91, false, 0],
      // 11 s before the last request: the later time is taken as wrong.
      [90, true, 1],
      [89, true, 0],
      [99, false, 0],
      [100, true, 1],
    ]);
  });

  test('are never exceeded by concurrent requests of several processes, for any start of a window', async () => {
    const keyPrefix = aPrefix();
    const limits = [
      { limit: 15, windowSeconds: 1 },
      { limit: 35, windowSeconds: 3 },
    ];
    const processes = await Promise.all([1, 2, 3].map(async () => (await someWindows({ keyPrefix })).windows));
    const letThrough: { sentMs: number; answeredMs: number }[] = [];
    const endMs = performance.now() + 5_000;
    await Promise.all(
      [...processes, ...processes].map(async (windows) => {
        while (performance.now() < endMs) {
          const sentMs = performance.now();
          const decisions = await Promise.all([1, 2, 3, 4].map(() => windows.take('a', limits, new Date())));
          const answeredMs = performance.now();
          for (const { allowed } of decisions) if (allowed) letThrough.push({ sentMs, answeredMs });
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
        }
      }),
    );
    // Redis decided between sending and response; a window that contains both contains the decision.
    for (const { limit, windowSeconds } of limits) {
      for (const first of letThrough) {
        const inside = letThrough.filter(
          ({ sentMs, answeredMs }) => sentMs >= first.sentMs && answeredMs < first.sentMs + windowSeconds * 1_000,
        );
        expect(inside.length).toBeLessThanOrEqual(limit);
      }
    }
    // The limits are also used up: 15 at the start and after 1 s, 5 after 2 s, 15 again after 3 s and 4 s.
    expect(letThrough.length).toBeGreaterThanOrEqual(50);
    expect(letThrough.length).toBeLessThanOrEqual(70);
  });

  test('allow exactly the limit for concurrent requests of several processes and count no refused request', async () => {
    const keyPrefix = aPrefix();
    const processes = await Promise.all([1, 2].map(async () => (await someWindows({ keyPrefix })).windows));
    const decisions = await Promise.all(
      processes.flatMap((windows) => Array.from({ length: 500 }, () => windows.take('a', minuteAndHour, new Date()))),
    );
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(60);
    const [windows] = processes;
    const now = new Date();
    expect(await windows?.peek('a', minuteAndHour, now)).toMatchObject({
      allowed: false,
      states: [{ remaining: 0 }, { remaining: 940 }],
      decidedAt: now,
    });
    expect(await windows?.peek('b', minuteAndHour, now)).toEqual({
      allowed: true,
      states: [
        { limit: 60, windowSeconds: 60, remaining: 60, resetAt: now },
        { limit: 1_000, windowSeconds: 3_600, remaining: 1_000, resetAt: now },
      ],
      retryAfterSeconds: 0,
      decidedAt: now,
    });
  });

  test('batch concurrent requests into one round trip, with one round trip at a time', async () => {
    const proxy = await aProxy();
    const { windows } = await someWindows({ url: proxy.url });
    const take = (count: number) =>
      Promise.all(Array.from({ length: count }, (_, index) => windows.take(`${index}`, minuteAndHour, new Date())));
    const roundTrips = async (count: number) => {
      const before = proxy.count('evalsha');
      const decisions = await take(count);
      expect(decisions.every(({ allowed }) => allowed)).toBe(true);
      return proxy.count('evalsha') - before;
    };
    expect(await roundTrips(1)).toBe(1);
    expect(await roundTrips(400)).toBe(1);
    expect(await roundTrips(1_200)).toBe(3);
    proxy.slowDown(15);
    const gathered = await Promise.all([roundTrips(1), ...Array.from({ length: 20 }, () => take(1))]);
    // The first is sent alone, and all others together in the next round trip.
    expect(gathered[0]).toBeLessThanOrEqual(2);
  });

  test('send the full script when Redis no longer has it cached', async () => {
    const proxy = await aProxy();
    const { windows } = await someWindows({ url: proxy.url });
    proxy.changeOnce((sent) => sent.replace(/(evalsha\r\n\$40\r\n)[0-9a-f]{40}/, `$1${'0'.repeat(40)}`));
    const before = proxy.count('eval\r\n');
    expect(await windows.take('a', minuteAndHour, new Date())).toMatchObject({
      allowed: true,
      states: [{ remaining: 59 }, {}],
    });
    expect(proxy.count('eval\r\n') - before).toBe(1);
    expect(await windows.take('a', minuteAndHour, new Date())).toMatchObject({
      allowed: true,
      states: [{ remaining: 58 }, {}],
    });
    expect(proxy.count('eval\r\n') - before).toBe(1);
  });

  test('store only the requests of a key that its limits need, and expire once its windows are empty', async () => {
    const keyPrefix = aPrefix();
    const { windows } = await someWindows({ keyPrefix, usesCallersTime: true });
    const redis = new Redis(redisUrl());
    onTestFinished(() => redis.disconnect());
    const limits = [
      { limit: 5, windowSeconds: 1 },
      { limit: 20, windowSeconds: 60 },
    ];
    const startMs = Date.UTC(2030, 0, 1);
    for (let step = 0; step < 300; step += 1) await windows.take('a', limits, new Date(startMs + step * 400));
    expect(await redis.llen(`${keyPrefix}a`)).toBe(20);
    // Three requests per second fill the longer window in half a minute; 61 s later only the new request is
    // stored.
    await windows.take('a', limits, new Date(startMs + 300 * 400 + 61_000));
    expect(await redis.llen(`${keyPrefix}a`)).toBe(1);
    expect(await redis.pttl(`${keyPrefix}a`)).toBeGreaterThan(55_000);
    expect(await redis.pttl(`${keyPrefix}a`)).toBeLessThanOrEqual(60_000);
    const { windows: brief } = await someWindows({ keyPrefix });
    await brief.take('b', [{ limit: 5, windowSeconds: 1 }], new Date());
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    expect(await redis.exists(`${keyPrefix}b`)).toBe(0);
  });
});
