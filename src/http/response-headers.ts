import { type Answer, type HeaderList, hasHeader, setHeader } from './answer.js';
import { addCorsHeaders } from './cors.js';
import type { Origins } from './origins.js';
import type { RequestScope } from './request-scope.js';
import { addSecurityHeaders } from './security-headers.js';

export interface HeaderOptions {
  readonly origins: Origins;
  /** Whether the server is about to close, so that clients should not reuse the connection. */
  readonly isDraining: boolean;
}

/** Finishes the headers of every response, whichever route answered. */
export function finishHeaders(answer: Answer, scope: RequestScope, { origins, isDraining }: HeaderOptions): HeaderList {
  const headers = [...answer.headers];
  scope.forEachResponseHeader((value, name) => {
    if (name === 'set-cookie') headers.push(name, value);
    else setHeader(headers, name, value);
  });
  setHeader(headers, 'x-request-id', scope.requestId);
  // RFC 9110, 11.6.1.
  if (answer.status === 401) setHeader(headers, 'www-authenticate', 'Bearer realm="tollkeeper"');
  if (isDraining) setHeader(headers, 'connection', 'close');
  addCorsHeaders(headers, scope.request, origins);
  addSecurityHeaders(headers);
  const length = bodyLength(answer);
  if (length !== null && !hasHeader(headers, 'content-length')) headers.push('content-length', String(length));
  return headers;
}

/** Null for a body whose length is not known, and for a status that has no body (RFC 9110, 8.6). */
function bodyLength({ status, body }: Answer): number | null {
  if (status === 204 || status === 304) return null;
  if (body === null) return 0;
  return typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.byteLength(body) : null;
}
