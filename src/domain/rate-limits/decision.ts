import type { RateLimit, RateLimitDecision } from './limiter.js';

/** State of one window in a store. */
export interface WindowUsage {
  /** Number of requests in the window, at most its limit. */
  readonly used: number;
  /** Time until the oldest request leaves the window; 0 if it is empty. */
  readonly resetMs: number;
}

/**
 * Builds a decision from the state of the windows in a store: one entry per limit, after the request was
 * counted (if it was).
 */
export function describeDecision(
  limits: readonly RateLimit[],
  usages: readonly WindowUsage[],
  allowed: boolean,
  now: Date,
): RateLimitDecision {
  let waitMs = 0;
  const states = limits.map(({ limit, windowSeconds }, index) => {
    const { used, resetMs } = usages[index] ?? { used: 0, resetMs: 0 };
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
