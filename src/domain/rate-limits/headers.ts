import type { RateLimit, RateLimitDecision, RateLimitState } from './limiter.js';

/** A header of an answer. */
export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

/**
 * Says in headers where a key stands, in two ways. No limits, no headers.
 *
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11, structured fields) speak of every window, named by its
 * length: `q` requests in any `w` seconds, of which `r` more may come within the next `t` seconds.
 *
 * Of the `X-RateLimit-*` there can only be one each, so the tightest window speaks: the one that would let through the fewest further
 * requests, and among equals the one that stays tight the longest. `X-RateLimit-Reset` is Unix time in whole seconds, rounded up, so
 * that who waits until then is not refused. `Retry-After` is seconds (RFC 9110, 10.2.3), and stands on refusals only.
 */
export function rateLimitHeaders({ allowed, states, retryAfterSeconds, decidedAt }: RateLimitDecision): HttpHeader[] {
  const tightest = findTightest(states);
  if (tightest === null) return [];
  const headers = [
    { name: 'X-RateLimit-Limit', value: String(tightest.limit) },
    { name: 'X-RateLimit-Remaining', value: String(tightest.remaining) },
    { name: 'X-RateLimit-Reset', value: String(Math.ceil(tightest.resetAt.getTime() / 1000)) },
    {
      name: 'RateLimit-Policy',
      value: states.map((state) => `"${nameOf(state)}";q=${state.limit};w=${state.windowSeconds}`).join(', '),
    },
    {
      name: 'RateLimit',
      value: states
        .map((state) => `"${nameOf(state)}";r=${state.remaining};t=${effectiveSeconds(state, decidedAt)}`)
        .join(', '),
    },
  ];
  if (!allowed) headers.push({ name: 'Retry-After', value: String(Math.max(1, retryAfterSeconds)) });
  return headers;
}

const windowNames: Readonly<Record<number, string>> = { 1: 'second', 60: 'minute', 3600: 'hour', 86400: 'day' };

/** No product has two limits for one window, so its length names it. */
function nameOf({ windowSeconds }: RateLimit): string {
  return windowNames[windowSeconds] ?? `${windowSeconds}s`;
}

/** For how long no more than the remaining requests may come: until the oldest leaves the window, or for all of it if it is empty. */
function effectiveSeconds({ limit, remaining, windowSeconds, resetAt }: RateLimitState, now: Date): number {
  return remaining === limit ? windowSeconds : Math.ceil((resetAt.getTime() - now.getTime()) / 1000);
}

function findTightest(states: readonly RateLimitState[]): RateLimitState | null {
  return states.reduce<RateLimitState | null>((tightest, state) => {
    if (tightest === null || state.remaining < tightest.remaining) return state;
    return state.remaining === tightest.remaining && state.resetAt > tightest.resetAt ? state : tightest;
  }, null);
}
