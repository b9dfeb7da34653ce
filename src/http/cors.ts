import type { IncomingMessage } from 'node:http';
import { setHeader } from './answer.js';
import type { Origins } from './origins.js';

/** The response headers that pages of allowed origins may read. */
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

/** Whether the request is a CORS preflight (Fetch, 4.8). */
export function isPreflight({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/**
 * Lets pages of the allowed origins read the response. Other origins get no header, so that their browsers
 * refuse.
 */
export function addCorsHeaders(headers: string[], request: IncomingMessage, origins: Origins): void {
  headers.push('vary', 'origin');
  const { origin } = request.headers;
  if (origin === undefined || !origins.includes(origin)) return;
  setHeader(headers, 'access-control-allow-origin', origin);
  setHeader(headers, 'access-control-allow-credentials', 'true');
  setHeader(headers, 'access-control-expose-headers', exposedHeaders);
  if (!isPreflight(request)) return;
  const requestedHeaders = request.headers['access-control-request-headers'];
  setHeader(headers, 'access-control-allow-methods', 'GET, POST');
  setHeader(headers, 'access-control-allow-headers', String(requestedHeaders ?? ''));
  setHeader(headers, 'access-control-max-age', String(preflightSecondsMax));
}
