import { hasHeader, setHeader } from './answer.js';

/** For every response that is not a page: no scripts, no frames. */
const closedPolicy = "default-src 'none'; frame-ancestors 'none'";

/**
 * For GraphiQL: one page with inline scripts and styles and with workers from blobs, which connects only to
 * this server.
 */
export const graphiqlPolicy = [
  "default-src 'none'",
  "script-src 'unsafe-inline' blob:",
  "style-src 'unsafe-inline'",
  'worker-src blob:',
  "img-src 'self' data:",
  'font-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Responses can contain secrets that are shown once, so by default none is cached. */
const defaults: readonly (readonly [name: string, value: string])[] = [
  ['content-security-policy', closedPolicy],
  ['cache-control', 'no-store'],
];

/** Adds what every response has. A route can set a policy and caching of its own. */
export function addSecurityHeaders(headers: string[]): void {
  for (const [name, value] of defaults) {
    if (!hasHeader(headers, name)) headers.push(name, value);
  }
  setHeader(headers, 'x-content-type-options', 'nosniff');
  setHeader(headers, 'referrer-policy', 'same-origin');
  setHeader(headers, 'x-frame-options', 'DENY');
}
