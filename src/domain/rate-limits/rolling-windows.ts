import { LRUCache } from 'lru-cache';
import { describeDecision, type WindowUsage } from './decision.js';
import type { RateLimit, RateLimitDecision } from './limiter.js';

/** Maximum number of keys in memory. The least recently used key is evicted first. */
const keysMax = 100_000;

export interface RollingWindows {
  /** Decides one request, and counts it if it is accepted. */
  take(key: string, limits: readonly RateLimit[], now: Date): RateLimitDecision;
  /** The state of the windows, without counting. */
  peek(key: string, limits: readonly RateLimit[], now: Date): RateLimitDecision;
  /** Counts a request that another limiter accepted. */
  record(key: string, limits: readonly RateLimit[], now: Date): void;
}

/**
 * Exact rolling windows in the memory of one process: never more than `limit` requests in any
 * `windowSeconds`. The time of each accepted request is stored as long as a window needs it. A refused
 * request counts in none. If the clock goes back, the last time is used until the clock has caught up, for at
 * most the longest window.
 */
export function createRollingWindows(): RollingWindows {
  const requests = new LRUCache<string, number[]>({ max: keysMax });

  const read = (key: string, limits: readonly RateLimit[], now: Date) => {
    const stored = requests.get(key) ?? [];
    const isFuture = (stored.at(-1) ?? 0) > now.getTime() + longestMs(limits);
    const times = isFuture ? [] : stored;
    const nowMs = Math.max(now.getTime(), times.at(-1) ?? 0);
    return { times, nowMs, firsts: limits.map((limit) => firstInside(times, limit, nowMs)) };
  };
  const count = (key: string, limits: readonly RateLimit[], now: Date) => {
    const { times, nowMs, firsts } = read(key, limits, now);
    times.splice(0, Math.min(times.length, ...firsts));
    times.push(nowMs);
    requests.set(key, times);
  };
  const peek = (key: string, limits: readonly RateLimit[], now: Date) => {
    const { times, nowMs, firsts } = read(key, limits, now);
    const usages = limits.map((limit, index) => usageOf(times, limit, firsts[index] ?? times.length, nowMs));
    const allowed = limits.every(({ limit }, index) => (usages[index]?.used ?? 0) < limit);
    return describeDecision(limits, usages, allowed, now);
  };

  return {
    take(key, limits, now) {
      const before = peek(key, limits, now);
      if (!before.allowed || limits.length === 0) return before;
      count(key, limits, now);
      return { ...peek(key, limits, now), allowed: true, retryAfterSeconds: 0 };
    },
    peek,
    record(key, limits, now) {
      if (limits.length > 0) count(key, limits, now);
    },
  };
}

function longestMs(limits: readonly RateLimit[]): number {
  return Math.max(0, ...limits.map(({ windowSeconds }) => windowSeconds * 1000));
}

function usageOf(times: readonly number[], { windowSeconds }: RateLimit, first: number, nowMs: number): WindowUsage {
  const oldest = times[first];
  return {
    used: times.length - first,
    resetMs: oldest === undefined ? 0 : oldest + windowSeconds * 1000 - nowMs,
  };
}

/**
 * Index of the first of the newest `limit` requests that is inside a window. A window of 60 s does not
 * contain a request of exactly 60 s ago.
 */
function firstInside(times: readonly number[], { limit, windowSeconds }: RateLimit, nowMs: number): number {
  const startMs = nowMs - windowSeconds * 1000;
  let low = Math.max(0, times.length - limit);
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? Number.POSITIVE_INFINITY) <= startMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
