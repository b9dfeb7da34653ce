import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { createBatcher } from '../../db/batcher.js';
import { describeDecision, type WindowUsage } from './decision.js';
import type { RateLimit, RateLimitDecision } from './limiter.js';
import { openRedisLink, type RedisLink, RedisUnavailableError } from './redis-link.js';
import { windowsScript } from './redis-script.js';

export interface RedisWindowsOptions {
  readonly url: string;
  readonly log: Logger;
  /** Prefix of all key names. */
  readonly keyPrefix?: string;
  /** Time limit of a request. Default: 50 ms; some tests need more. */
  readonly answerWithinMs?: number;
  /**
   * Uses the caller's `now` instead of Redis's clock, for tests that set the clock and send one request at a
   * time.
   */
  readonly usesCallersTime?: boolean;
}

/** Rolling windows that all processes share. Both methods throw RedisUnavailableError if Redis is late. */
export interface RedisWindows extends Pick<RedisLink, 'target' | 'run' | 'waitUntilUp' | 'close'> {
  take(key: string, limits: readonly RateLimit[], now: Date): Promise<RateLimitDecision>;
  peek(key: string, limits: readonly RateLimit[], now: Date): Promise<RateLimitDecision>;
}

interface WindowRequest {
  readonly key: string;
  readonly limits: readonly RateLimit[];
  readonly counts: boolean;
  readonly now: Date;
}

/** Counted before Redis is used, so that a read-only Redis, such as a replica, counts as unavailable. */
const checkRequest: WindowRequest = {
  key: 'check',
  limits: [{ limit: 1_000, windowSeconds: 1 }],
  counts: true,
  now: new Date(0),
};

/**
 * Exact rolling windows in Redis or Valkey: never more than `limit` requests in any `windowSeconds` of its
 * clock, over all processes. Concurrent requests are decided in one round trip, in the order of arrival.
 * Returned times are on the clock of the caller, so that they match the other dates of its answer.
 */
export function openRedisWindows({
  url,
  log,
  keyPrefix = 'tollkeeper:rate-limit:',
  answerWithinMs = 50,
  usesCallersTime = false,
}: RedisWindowsOptions): RedisWindows {
  /**
   * Redis's clock minus this process's clock, in microseconds. An upper bound, because it ignores the way
   * back.
   */
  let aheadUs: number | null = null;

  async function decideBatch(redis: Redis, requests: readonly WindowRequest[]): Promise<RateLimitDecision[]> {
    const sentUs = clockUs();
    const deadlineUs = aheadUs === null ? Number.MAX_SAFE_INTEGER : sentUs + aheadUs + answerWithinMs * 1000;
    const args = [deadlineUs, usesCallersTime ? (requests[0]?.now.getTime() ?? 0) * 1000 : 0];
    for (const { limits, counts } of requests) {
      args.push(counts ? 1 : 0, limits.length);
      for (const { limit, windowSeconds } of limits) args.push(limit, windowSeconds * 1_000_000);
    }
    const keys = requests.map(({ key }) => keyPrefix + key);
    const [presentUs = 0, ...found] = toNumbers(await runScript(redis, keys, args));
    aheadUs = presentUs - sentUs;
    if (found.length === 0 && requests.length > 0) throw new Error('the request reached Redis too late');
    return readDecisions(requests, found);
  }

  const link = openRedisLink({
    url,
    log,
    answerWithinMs,
    check: (redis) => {
      // Another Redis may have another clock.
      aheadUs = null;
      return decideBatch(redis, [checkRequest]);
    },
  });
  const enqueue = createBatcher((requests: readonly WindowRequest[]) =>
    link.run((redis) => decideBatch(redis, requests)),
  );
  const decide = (request: WindowRequest) =>
    link.isUp ? enqueue(request) : Promise.reject(new RedisUnavailableError());

  return {
    take: (key, limits, now) => decide({ key, limits, counts: true, now }),
    peek: (key, limits, now) => decide({ key, limits, counts: false, now }),
    target: link.target,
    run: link.run,
    waitUntilUp: link.waitUntilUp,
    close: link.close,
  };
}

/** A monotonic clock. */
function clockUs(): number {
  return Math.round(performance.now() * 1000);
}

async function runScript(redis: Redis, keys: readonly string[], args: readonly number[]): Promise<unknown> {
  try {
    return await redis.evalsha(windowsScript.sha, keys.length, ...keys, ...args);
  } catch (error) {
    // Redis was restarted, or its script cache was flushed.
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return redis.eval(windowsScript.text, keys.length, ...keys, ...args);
  }
}

function toNumbers(answer: unknown): number[] {
  if (!Array.isArray(answer)) throw new Error('Redis answered in an unknown format');
  return answer.map(Number);
}

function readDecisions(requests: readonly WindowRequest[], found: readonly number[]): RateLimitDecision[] {
  let at = 0;
  const next = () => found[at++] ?? 0;
  return requests.map(({ limits, now }) => {
    const allowed = next() === 1;
    const usages: WindowUsage[] = limits.map(() => ({ used: next(), resetMs: next() }));
    return describeDecision(limits, usages, allowed, now);
  });
}
