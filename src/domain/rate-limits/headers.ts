import type { RateLimitDecision, RateLimitState } from './limiter.js';

/** A header of an answer. */
export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

/**
 * Says in headers where a key stands. Of several windows the tightest speaks: the one that would let through the
 * fewest further requests, and among equals the one that stays tight the longest. `X-RateLimit-Reset` is Unix time in
 * whole seconds, rounded up, so that who waits until then is not refused. `Retry-After` is seconds (RFC 9110, 10.2.3),
 * and stands on refusals only. No limits, no headers.
 */
export function rateLimitHeaders(decision: RateLimitDecision): HttpHeader[] {
  const tightest = findTightest(decision.states);
  if (tightest === null) return [];
  const headers = [
    { name: 'X-RateLimit-Limit', value: String(tightest.limit) },
    { name: 'X-RateLimit-Remaining', value: String(tightest.remaining) },
    { name: 'X-RateLimit-Reset', value: String(Math.ceil(tightest.resetAt.getTime() / 1000)) },
  ];
  if (!decision.allowed) headers.push({ name: 'Retry-After', value: String(Math.max(1, decision.retryAfterSeconds)) });
  return headers;
}

function findTightest(states: readonly RateLimitState[]): RateLimitState | null {
  return states.reduce<RateLimitState | null>((tightest, state) => {
    if (tightest === null || state.remaining < tightest.remaining) return state;
    return state.remaining === tightest.remaining && state.resetAt > tightest.resetAt ? state : tightest;
  }, null);
}
