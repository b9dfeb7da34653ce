import { expect, onTestFinished, test, vi } from 'vitest';
import type { RateLimitPolicy } from '../../src/domain/rate-limits/limiter.js';
import { createSharedLimiter, openLimiter } from '../../src/domain/rate-limits/open-limiter.js';
import { openRedisWindows } from '../../src/domain/rate-limits/redis-windows.js';
import { UnavailableError } from '../../src/errors.js';
import { loadProducts } from '../../src/products/load.js';
import { productFile } from './product.js';
import { aLog, aPrefix, aProxy, describeWithRedis, redisUrl, someWindows, timed } from './redis.js';

const rateLimits = [{ limit: 3, windowSeconds: 60 }];
const open: RateLimitPolicy = { rateLimits, rateLimitFallback: 'open' };
const closed: RateLimitPolicy = { rateLimits, rateLimitFallback: 'closed' };

/** A limiter on a Redis that can be cut off, and direct access to the state of that Redis. */
async function aLimiter() {
  const proxy = await aProxy();
  const keyPrefix = aPrefix();
  // Long enough for a busy machine: the tests check what a timeout leads to, not its length.
  const answerWithinMs = 250;
  const { windows, lines } = await someWindows({ url: proxy.url, keyPrefix, answerWithinMs });
  const { windows: direct } = await someWindows({ keyPrefix });
  const limiter = createSharedLimiter(windows);
  return {
    proxy,
    lines,
    answerWithinMs,
    take: (policy: RateLimitPolicy, key = 'a') => limiter.take(key, policy, new Date()),
    peek: (policy: RateLimitPolicy, key = 'a') => limiter.peek(key, policy, new Date()),
    /** The number of requests of a key that Redis has counted. */
    held: async (key = 'a') => 3 - ((await direct.peek(key, rateLimits, new Date())).states[0]?.remaining ?? 0),
    /**
     * Waits until Redis decides again. `peek` counts nothing, and with a closed policy only Redis can answer
     * it.
     */
    untilBack: () => vi.waitFor(async () => expect(await limiter.peek('a', closed, new Date())).not.toBeNull(), 10_000),
  };
}

describeWithRedis('while Redis does not respond', () => {
  test('the first request waits until the timeout and later requests do not wait', async () => {
    const { proxy, take, answerWithinMs, untilBack } = await aLimiter();
    proxy.stall();
    const first = await timed(() => take(open));
    expect(first.result.allowed).toBe(true);
    expect(first.ms).toBeGreaterThan(answerWithinMs - 5);
    expect(first.ms).toBeLessThan(answerWithinMs + 150);
    const next = await timed(() => Promise.all(Array.from({ length: 200 }, (_, index) => take(open, `k${index}`))));
    expect(next.result.every(({ allowed }) => allowed)).toBe(true);
    expect(next.ms).toBeLessThan(100);
    proxy.resume();
    await untilBack();
  });

  test('a request waits 50 ms by default', async () => {
    const proxy = await aProxy();
    const { log } = aLog();
    const windows = openRedisWindows({ url: proxy.url, log, keyPrefix: aPrefix() });
    onTestFinished(() => windows.close());
    // A busy machine needs several attempts to respond in so short a time.
    expect(await windows.waitUntilUp(20_000)).toBeNull();
    proxy.stall();
    const limiter = createSharedLimiter(windows);
    const { result, ms } = await timed(() => limiter.take('a', open, new Date()));
    expect(result.allowed).toBe(true);
    expect(ms).toBeLessThan(150);
  });

  test('an open product is limited by the counts of this process, including requests from before the outage', async () => {
    const { proxy, take, untilBack } = await aLimiter();
    expect(await take(open)).toMatchObject({ allowed: true, states: [{ remaining: 2 }] });
    expect(await take(open)).toMatchObject({ allowed: true, states: [{ remaining: 1 }] });
    await proxy.refuse();
    expect(await take(open)).toMatchObject({ allowed: true, states: [{ remaining: 0 }] });
    expect(await take(open)).toMatchObject({ allowed: false, states: [{ remaining: 0 }] });
    expect(await take(open, 'b')).toMatchObject({ allowed: true, states: [{ remaining: 2 }] });
    await proxy.reopen();
    await untilBack();
  });

  test('a closed product answers UnavailableError, never RATE_LIMITED, and reports no rate limit state', async () => {
    const { proxy, take, peek, held, untilBack } = await aLimiter();
    await take(closed);
    await proxy.refuse();
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => take(closed)));
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 'rejected', reason: expect.any(UnavailableError) });
      expect(answer).toMatchObject({ reason: { code: 'SERVICE_UNAVAILABLE', retryAfterSeconds: 1 } });
    }
    expect(await peek(closed)).toBeNull();
    await proxy.reopen();
    await untilBack();
    expect(await held()).toBe(1);
    expect(await take(closed)).toMatchObject({ allowed: true, states: [{ remaining: 1 }] });
  });

  test('a request that reaches Redis after its timeout is not counted', async () => {
    const { proxy, take, held, answerWithinMs, untilBack } = await aLimiter();
    await take(closed);
    proxy.stall();
    await expect(Promise.all([take(closed), take(closed)])).rejects.toBeInstanceOf(UnavailableError);
    await new Promise((resolve) => setTimeout(resolve, answerWithinMs));
    const evaluated = proxy.count('evalsha');
    proxy.resume();
    await untilBack();
    // The requests did arrive.
    expect(proxy.count('evalsha')).toBeGreaterThan(evaluated);
    expect(await held()).toBe(1);
  });

  test.each([
    ['does not answer', 'stall', 'resume'],
    ['lost its connections and takes no new ones', 'refuse', 'reopen'],
  ] as const)(
    'a Redis that %s is used again automatically, and outage and recovery are logged once',
    async (_, cut, mend) => {
      const { proxy, lines, take, held, untilBack } = await aLimiter();
      const logged = () => lines.map(({ level, msg }) => [level, msg]);
      const up = [30, 'Redis answers: rate limits are shared'];
      const away = [40, 'Redis does not answer: the rateLimitFallback of each product applies until it does'];
      expect(logged()).toEqual([up]);
      await proxy[cut]();
      for (let request = 0; request < 20; request += 1) await take(open, `k${request}`);
      // Long enough for several reconnection attempts.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(logged()).toEqual([up, away]);
      await proxy[mend]();
      await untilBack();
      expect(logged()).toEqual([up, away, up]);
      await take(open);
      expect(await held()).toBe(1);
    },
  );

  test('dropped connections are replaced immediately and no request is sent twice', async () => {
    const { proxy, take, held, untilBack } = await aLimiter();
    await take(open);
    for (let round = 0; round < 3; round += 1) {
      const taking = take(open, `round-${round}`);
      proxy.drop();
      await taking;
      await untilBack();
      expect(await held(`round-${round}`)).toBeLessThanOrEqual(1);
    }
    expect(await held()).toBe(1);
  });

  test('a response that arrives while this process is busy does not count as late', async () => {
    const answerWithinMs = 250;
    const { windows, lines } = await someWindows({ answerWithinMs });
    const taking = windows.take('a', rateLimits, new Date());
    // The request is sent after this iteration of the event loop.
    setImmediate(() =>
      setImmediate(() => {
        const until = performance.now() + answerWithinMs + 100;
        while (performance.now() < until);
      }),
    );
    expect(await taking).toMatchObject({ allowed: true });
    expect(lines).toHaveLength(1);
  });
});

describeWithRedis('a server that starts', () => {
  const unreachableUrl = 'redis://someone:hunter2secret@127.0.0.1:1';

  test('starts without Redis when all products are open, and logs the outage', async () => {
    const { log, lines } = aLog();
    const { limiter, close } = await openLimiter(unreachableUrl, await loadProducts(['masko']), log);
    onTestFinished(close);
    expect(await limiter.take(aPrefix(), open, new Date())).toMatchObject({ allowed: true });
    expect(lines).toMatchObject([
      {
        level: 40,
        redis: '127.0.0.1:1',
        reason: expect.stringContaining('ECONNREFUSED'),
        msg: 'Redis does not answer: the rateLimitFallback of each product applies until it does',
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain('hunter2secret');
    expect(JSON.stringify(lines)).not.toContain('someone');
  });

  test('refuses to start without Redis when a product is closed, with instructions', async () => {
    const { log, lines } = aLog();
    const products = await loadProducts(['default', await productFile({ rateLimits, rateLimitFallback: 'closed' })]);
    const failure: unknown = await openLimiter(unreachableUrl, products, log, 600).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      name: 'StartError',
      message: expect.stringMatching(
        /^Redis cannot be reached at 127\.0\.0\.1:1 \(.*ECONNREFUSED.*\), and the product metered requires it\. Check /,
      ),
    });
    expect(`${failure} ${JSON.stringify(lines)}`).not.toContain('hunter2secret');
  });

  test('logs why Redis refuses its password, without the password', async () => {
    const proxy = await aProxy();
    // No Redis knows this user, whatever its configuration.
    const url = new URL(proxy.url);
    url.username = 'unknown';
    url.password = 'hunter2secret';
    const { log, lines } = aLog();
    const { close } = await openLimiter(url.href, await loadProducts(['masko']), log);
    onTestFinished(close);
    expect(lines).toMatchObject([{ level: 40, reason: expect.stringContaining('WRONGPASS') }]);
    expect(JSON.stringify(lines)).not.toContain('hunter2secret');
  });

  test('connects automatically to a Redis that starts later', async () => {
    const proxy = await aProxy();
    await proxy.refuse();
    const { log, lines } = aLog();
    const opening = openLimiter(
      proxy.url,
      await loadProducts([await productFile({ rateLimits, rateLimitFallback: 'closed' })]),
      log,
    );
    setTimeout(() => void proxy.reopen(), 700);
    const { limiter, close } = await opening;
    onTestFinished(close);
    expect(lines.map(({ level }) => level)).toEqual([40, 30]);
    expect(await limiter.peek(aPrefix(), closed, new Date())).toMatchObject({ allowed: true });
  });

  test('counts rate limits in memory without REDIS_URL', async () => {
    const { log, lines } = aLog();
    const { limiter, close } = await openLimiter(null, await loadProducts(['masko']), log);
    onTestFinished(close);
    expect(await limiter.take('a', closed, new Date())).toMatchObject({ allowed: true, states: [{ remaining: 2 }] });
    expect(lines).toEqual([]);
    expect(redisUrl()).not.toBe('');
  });
});
