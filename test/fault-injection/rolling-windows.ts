import { expect } from 'vitest';
import type { RateLimit } from '../../src/domain/rate-limits/limiter.js';

/** An allowed request. It was decided between the two times, on the clock of the tests. */
export interface Letting {
  readonly sentMs: number;
  readonly answeredMs: number;
}

/**
 * Expects that no window contains more requests than its limit: requests that were sent and answered within a
 * window were decided in it. Checking the windows that begin when a request is sent suffices.
 */
export function expectKept(lettings: readonly Letting[], limits: readonly RateLimit[]): void {
  for (const { limit, windowSeconds } of limits) {
    for (const { sentMs: start } of lettings) {
      const inside = lettings.filter(
        ({ sentMs, answeredMs }) => sentMs >= start && answeredMs < start + windowSeconds * 1_000,
      );
      expect(inside.length, `in the ${windowSeconds} s from ${start}`).toBeLessThanOrEqual(limit);
    }
  }
}
