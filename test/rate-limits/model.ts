import fc from 'fast-check';
import { expect } from 'vitest';
import type { RateLimit, RateLimitDecision } from '../../src/domain/rate-limits/limiter.js';

/** One to three limits with different windows, small enough that random requests reach all of them. */
export const limits = fc.uniqueArray(
  fc.record({ limit: fc.integer({ min: 1, max: 6 }), windowSeconds: fc.integer({ min: 1, max: 12 }) }),
  { minLength: 1, maxLength: 3, selector: ({ windowSeconds }) => windowSeconds },
);

/** Milliseconds until the next request: often 0, often close to the end of a window. */
export const gapMs = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 1_500 }),
  fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: -1, max: 1 })).map(([s, ms]) => s * 1_000 + ms),
);

export const request = fc.record({ gapMs, key: fc.constantFrom('a', 'b'), isTake: fc.nat(3).map((n) => n > 0) });

/** The expected decision of a limiter, computed from every request that it has allowed. */
export function decideNaively(
  times: readonly number[],
  limits: readonly RateLimit[],
  nowMs: number,
  isTake: boolean,
): RateLimitDecision {
  const within = (moment: number, { windowSeconds }: RateLimit, all = times) =>
    all.filter((time) => time > moment - windowSeconds * 1_000 && time <= moment);
  const fits = (moment: number) => limits.every((limit) => within(moment, limit).length < limit.limit);
  const allowed = fits(nowMs);
  // A request is allowed again only when an earlier one leaves a window.
  const leaveAt = times.flatMap((time) => limits.map(({ windowSeconds }) => time + windowSeconds * 1_000));
  const freeAt = allowed ? nowMs : Math.min(...leaveAt.filter((moment) => moment > nowMs && fits(moment)));
  const counted = allowed && isTake ? [...times, nowMs] : times;
  return {
    allowed,
    retryAfterSeconds: Math.ceil((freeAt - nowMs) / 1_000),
    decidedAt: new Date(nowMs),
    states: limits.map((limit) => {
      const [oldest] = within(nowMs, limit, counted);
      return {
        ...limit,
        remaining: limit.limit - within(nowMs, limit, counted).length,
        resetAt: new Date(oldest === undefined ? nowMs : oldest + limit.windowSeconds * 1_000),
      };
    }),
  };
}

/**
 * Expects that no window contains more requests than its limit. Checking the windows that begin at a request
 * suffices.
 */
export function expectKept(times: readonly number[], limits: readonly RateLimit[]): void {
  for (const { limit, windowSeconds } of limits) {
    for (const start of times) {
      const count = times.filter((time) => time >= start && time < start + windowSeconds * 1_000).length;
      expect(count, `in the ${windowSeconds} s from ${start}`).toBeLessThanOrEqual(limit);
    }
  }
}
