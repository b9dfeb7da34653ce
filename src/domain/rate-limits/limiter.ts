/** One rate limit of a product: at most `limit` requests in any `windowSeconds`. */
export interface RateLimit {
  readonly limit: number;
  readonly windowSeconds: number;
}

/**
 * Rate limits per key, and the behaviour while the shared store is unavailable. Every product has this shape.
 */
export interface RateLimitPolicy {
  readonly rateLimits: readonly RateLimit[];
  /** If the shared store does not answer: `open` uses the counts of this process, `closed` throws. */
  readonly rateLimitFallback: 'open' | 'closed';
}

/** State of one window after a decision. */
export interface RateLimitState extends RateLimit {
  /** Number of further requests that would be accepted now. */
  readonly remaining: number;
  /** Time when the oldest request leaves the window. For an empty window: the time of the decision. */
  readonly resetAt: Date;
}

export interface RateLimitDecision {
  readonly allowed: boolean;
  /** One state per limit, in the order of the limits. */
  readonly states: readonly RateLimitState[];
  /** Whole seconds until a request would be accepted; 0 if this one was. */
  readonly retryAfterSeconds: number;
  /** Time of the decision, on the clock of the caller. */
  readonly decidedAt: Date;
}

/** Checks requests against rolling windows. A refused request counts in none of them. */
export interface RateLimiter {
  /**
   * Decides one request, and counts it if it is accepted.
   * @throws UnavailableError if the store is unavailable and the policy is `closed`. The request is then not
   *   counted.
   */
  take(key: string, policy: RateLimitPolicy, now: Date): Promise<RateLimitDecision>;
  /** The state of the windows, without counting. Null if {@link take} would throw. */
  peek(key: string, policy: RateLimitPolicy, now: Date): Promise<RateLimitDecision | null>;
}
