import type { RateLimit, RateLimitDecision, RateLimitState } from './limiter.js';

/** A response header. */
export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

/**
 * The rate limit headers of a decision, in two formats. None if there are no limits.
 *
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11, structured fields) list every
 * window, named by its length: `q` requests in any `w` seconds, `r` remaining for the next `t` seconds.
 *
 * `X-RateLimit-*` can describe only one window: the tightest, which has the fewest remaining requests, and
 * among equals the latest reset. `X-RateLimit-Reset` is Unix time in whole seconds, rounded up, so a client
 * that waits until then is not refused. `Retry-After` is in seconds (RFC 9110, 10.2.3), and is set on
 * refusals only.
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

/** A product has at most one limit per window length, so the length is a unique name. */
function nameOf({ windowSeconds }: RateLimit): string {
  return windowNames[windowSeconds] ?? `${windowSeconds}s`;
}

/** Seconds until the oldest request leaves the window. For an empty window: its whole length. */
function effectiveSeconds({ limit, remaining, windowSeconds, resetAt }: RateLimitState, now: Date): number {
  return remaining === limit ? windowSeconds : Math.ceil((resetAt.getTime() - now.getTime()) / 1000);
}

function findTightest(states: readonly RateLimitState[]): RateLimitState | null {
  return states.reduce<RateLimitState | null>((tightest, state) => {
    if (tightest === null || state.remaining < tightest.remaining) return state;
    return state.remaining === tightest.remaining && state.resetAt > tightest.resetAt ? state : tightest;
  }, null);
}
