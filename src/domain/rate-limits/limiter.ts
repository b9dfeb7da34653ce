/** One promise of a product: at most `limit` requests in any `windowSeconds`. */
export interface RateLimit {
  readonly limit: number;
  readonly windowSeconds: number;
}

/** What is promised per key, and what holds while nobody can tell how much of it is used up. Every product is one. */
export interface RateLimitPolicy {
  readonly rateLimits: readonly RateLimit[];
  /** Where windows are shared and their store does not answer: `open` goes by what this process knows, `closed` refuses to decide. */
  readonly rateLimitFallback: 'open' | 'closed';
}

/** Where one window stands after a request was decided. */
export interface RateLimitState extends RateLimit {
  /** How many more requests would be let through now. */
  readonly remaining: number;
  /** When the window will have forgotten its oldest request, so that one more fits; the moment of the decision if it is empty. */
  readonly resetAt: Date;
}

export interface RateLimitDecision {
  readonly allowed: boolean;
  /** One state for each limit, in the order of the limits. */
  readonly states: readonly RateLimitState[];
  /** Whole seconds until a request would be let through; 0 when this one was. */
  readonly retryAfterSeconds: number;
  /** The present, on the clock of whoever asked. */
  readonly decidedAt: Date;
}

/** Decides requests against rolling windows. A refused request counts in none of them. */
export interface RateLimiter {
  /**
   * Decides one request, and counts it where it is let through.
   * @throws UnavailableError where the windows cannot be reached and the policy is `closed`. The request then counts nowhere.
   */
  take(key: string, policy: RateLimitPolicy, now: Date): Promise<RateLimitDecision>;
  /** Where the windows stand, without counting anything; null where {@link take} would throw. */
  peek(key: string, policy: RateLimitPolicy, now: Date): Promise<RateLimitDecision | null>;
}
