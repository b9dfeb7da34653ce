import { LRUCache } from 'lru-cache';
import { describeDecision, type Standing } from './decision.js';
import type { RateLimit, RateLimitDecision } from './limiter.js';

/** The most keys whose requests are remembered at once. The least recently used are forgotten first. */
const keysMax = 100_000;

export interface RollingWindows {
  /** Decides one request, and counts it where it is let through. */
  take(key: string, limits: readonly RateLimit[], now: Date): RateLimitDecision;
  /** Where the windows stand, without counting anything. */
  peek(key: string, limits: readonly RateLimit[], now: Date): RateLimitDecision;
  /** Counts a request that was let through by somebody else. */
  note(key: string, limits: readonly RateLimit[], now: Date): void;
}

/**
 * Exact rolling windows in the memory of one process: never more than `limit` requests in any `windowSeconds`. The time of each
 * request that was let through is kept for as long as a window needs it; a refused request counts in none. A clock that goes back
 * stands still here until it has caught up, for at most the longest window.
 */
export function createRollingWindows(): RollingWindows {
  const requests = new LRUCache<string, number[]>({ max: keysMax });

  const look = (key: string, limits: readonly RateLimit[], now: Date) => {
    const remembered = requests.get(key) ?? [];
    const isFuture = (remembered.at(-1) ?? 0) > now.getTime() + longestMs(limits);
    const times = isFuture ? [] : remembered;
    const nowMs = Math.max(now.getTime(), times.at(-1) ?? 0);
    return { times, nowMs, firsts: limits.map((limit) => firstInside(times, limit, nowMs)) };
  };
  const count = (key: string, limits: readonly RateLimit[], now: Date) => {
    const { times, nowMs, firsts } = look(key, limits, now);
    times.splice(0, Math.min(times.length, ...firsts));
    times.push(nowMs);
    requests.set(key, times);
  };
  const peek = (key: string, limits: readonly RateLimit[], now: Date) => {
    const { times, nowMs, firsts } = look(key, limits, now);
    const standings = limits.map((limit, index) => standingOf(times, limit, firsts[index] ?? times.length, nowMs));
    const allowed = limits.every(({ limit }, index) => (standings[index]?.used ?? 0) < limit);
    return describeDecision(limits, standings, allowed, now);
  };

  return {
    take(key, limits, now) {
      const before = peek(key, limits, now);
      if (!before.allowed || limits.length === 0) return before;
      count(key, limits, now);
      return { ...peek(key, limits, now), allowed: true, retryAfterSeconds: 0 };
    },
    peek,
    note(key, limits, now) {
      if (limits.length > 0) count(key, limits, now);
    },
  };
}

function longestMs(limits: readonly RateLimit[]): number {
  return Math.max(0, ...limits.map(({ windowSeconds }) => windowSeconds * 1000));
}

function standingOf(times: readonly number[], { windowSeconds }: RateLimit, first: number, nowMs: number): Standing {
  const oldest = times[first];
  return {
    used: times.length - first,
    resetMs: oldest === undefined ? 0 : oldest + windowSeconds * 1000 - nowMs,
  };
}

/**
 * The index of the first request that a window contains, of the newest `limit` ones: more it never needs to know. A window of 60 s
 * does not contain what happened exactly 60 s ago.
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
