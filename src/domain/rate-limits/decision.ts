import type { RateLimit, RateLimitDecision } from './limiter.js';

/** What one window holds. */
export interface Standing {
  /** The requests in it, at most its limit. */
  readonly used: number;
  /** Until the oldest of them leaves it; 0 if it is empty. */
  readonly resetMs: number;
}

/** Puts into words what a store of windows found: one standing for each limit, after the request was counted if it was. */
export function describeDecision(
  limits: readonly RateLimit[],
  standings: readonly Standing[],
  allowed: boolean,
  now: Date,
): RateLimitDecision {
  let waitMs = 0;
  const states = limits.map(({ limit, windowSeconds }, index) => {
    const { used, resetMs } = standings[index] ?? { used: 0, resetMs: 0 };
    if (!allowed && used >= limit) waitMs = Math.max(waitMs, resetMs);
    return {
      limit,
      windowSeconds,
      remaining: Math.max(0, limit - used),
      resetAt: new Date(now.getTime() + resetMs),
    };
  });
  return { allowed, states, retryAfterSeconds: Math.ceil(waitMs / 1000), decidedAt: now };
}
