import { LRUCache } from 'lru-cache';
import type { RateLimit, RateLimitDecision, RateLimiter, RateLimitState } from './limiter.js';

/** The most keys whose requests are remembered at once. The least recently used are forgotten first. */
const keysMax = 100_000;

/**
 * Exact rolling windows in the memory of one process: never more than `limit` requests in any `windowSeconds`. The time of each
 * request that was let through is kept for as long as the longest window lasts; a refused request counts in none.
 */
export function createRollingWindows(): RateLimiter {
  const requests = new LRUCache<string, number[]>({ max: keysMax });
  return {
    take(key, limits, now) {
      const nowMs = now.getTime();
      const times = requests.get(key) ?? [];
      const waits = longestWaitMs(times, limits, nowMs);
      if (waits === 0 && limits.length > 0) {
        forget(times, limits, nowMs);
        times.push(nowMs);
        requests.set(key, times);
      }
      return Promise.resolve(describe(times, limits, nowMs, waits));
    },
    peek(key, limits, now) {
      const times = requests.get(key) ?? [];
      return Promise.resolve(describe(times, limits, now.getTime(), longestWaitMs(times, limits, now.getTime())));
    },
  };
}

/** Drops what no window contains any more. */
function forget(times: number[], limits: readonly RateLimit[], nowMs: number): void {
  const longestMs = Math.max(...limits.map(({ windowSeconds }) => windowSeconds * 1000));
  times.splice(0, firstAfter(times, nowMs - longestMs));
}

/** How long until one more request would fit into every window; 0 where it fits now. */
function longestWaitMs(times: readonly number[], limits: readonly RateLimit[], nowMs: number): number {
  return Math.max(0, ...limits.map((limit) => waitMs(times, limit, nowMs)));
}

function describe(
  times: readonly number[],
  limits: readonly RateLimit[],
  nowMs: number,
  longestMs: number,
): RateLimitDecision {
  return {
    allowed: longestMs === 0,
    states: limits.map((limit) => stateOf(times, limit, nowMs)),
    retryAfterSeconds: Math.ceil(longestMs / 1000),
  };
}

/** How long until one more request fits into a window; 0 where it fits now. */
function waitMs(times: readonly number[], { limit, windowSeconds }: RateLimit, nowMs: number): number {
  // The newest requests are last: the one that must leave the window is the limit-th from the end.
  const blocking = times[times.length - limit];
  return blocking === undefined ? 0 : Math.max(0, blocking + windowSeconds * 1000 - nowMs);
}

function stateOf(times: readonly number[], { limit, windowSeconds }: RateLimit, nowMs: number): RateLimitState {
  const windowMs = windowSeconds * 1000;
  const first = firstAfter(times, nowMs - windowMs);
  const oldest = times[first];
  return {
    limit,
    windowSeconds,
    remaining: Math.max(0, limit - (times.length - first)),
    resetAt: new Date((oldest ?? nowMs) + (oldest === undefined ? 0 : windowMs)),
  };
}

/** The index of the first time that is later than a moment: a window of 60 s does not contain what happened exactly 60 s ago. */
function firstAfter(times: readonly number[], momentMs: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? Number.POSITIVE_INFINITY) <= momentMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
