import type { Origins } from './origins.js';

/** What a page of an allowed origin may read beside the body. */
const exposedHeaders = [
  'idempotency-body-differs',
  'idempotency-replayed',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'set-auth-token',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-request-id',
].join(', ');

const preflightSecondsMax = 600;

/** A browser that asks before it sends (Fetch, 4.8). Answered here, since nothing behind it speaks OPTIONS. */
export function isPreflight(request: Request): boolean {
  return (
    request.method === 'OPTIONS' &&
    request.headers.has('origin') &&
    request.headers.has('access-control-request-method')
  );
}

/** Lets pages of the allowed origins read the answer, and no others. Says nothing to those, so that their browsers refuse. */
export function setCorsHeaders(headers: Headers, request: Request, origins: Origins): void {
  headers.append('vary', 'origin');
  const origin = request.headers.get('origin');
  if (origin === null || !origins.includes(origin)) return;
  headers.set('access-control-allow-origin', origin);
  headers.set('access-control-allow-credentials', 'true');
  headers.set('access-control-expose-headers', exposedHeaders);
  if (!isPreflight(request)) return;
  headers.set('access-control-allow-methods', 'GET, POST');
  headers.set('access-control-allow-headers', request.headers.get('access-control-request-headers') ?? '');
  headers.set('access-control-max-age', String(preflightSecondsMax));
}
