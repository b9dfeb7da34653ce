import { expect } from 'vitest';
import type { RateLimit } from '../../src/domain/rate-limits/limiter.js';

/** A request that was let through: the decision fell between the two, on the clock of the tests. */
export interface Letting {
  readonly sentMs: number;
  readonly answeredMs: number;
}

/**
 * No window contains more than its limit, wherever it begins: of those that were sent after a moment and answered within the window's
 * length of it, all were decided in it. Only moments at which one was sent need be looked at.
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
