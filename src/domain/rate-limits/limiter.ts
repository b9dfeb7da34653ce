/** One promise of a product: at most `limit` requests in any `windowSeconds`. */
export interface RateLimit {
  readonly limit: number;
  readonly windowSeconds: number;
}

/** Where one window stands after a request was decided. */
export interface RateLimitState extends RateLimit {
  /** How many more requests would be let through now. */
  readonly remaining: number;
  /** When the window will have forgotten its oldest request, so that one more fits, or all do if it is empty. */
  readonly resetAt: Date;
}

export interface RateLimitDecision {
  readonly allowed: boolean;
  /** One state for each limit, in the order of the limits. */
  readonly states: readonly RateLimitState[];
  /** Whole seconds until a request would be let through; 0 when this one was. */
  readonly retryAfterSeconds: number;
}

/** Decides requests against rolling windows. A refused request counts in none of them. */
export interface RateLimiter {
  /** Decides one request, and counts it where it is let through. */
  take(key: string, limits: readonly RateLimit[], now: Date): Promise<RateLimitDecision>;
  /** Where the windows stand, without counting anything. */
  peek(key: string, limits: readonly RateLimit[], now: Date): Promise<RateLimitDecision>;
}
