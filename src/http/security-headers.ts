/** For everything that is not a page: nothing in it may run, and no site may frame it. */
const closedPolicy = "default-src 'none'; frame-ancestors 'none'";

/**
 * For GraphiQL, which comes as one page with its scripts and styles inside, and starts its workers from blobs.
 * It talks to this server alone, and loads nothing from elsewhere.
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

/** What stands on every answer unless it says otherwise itself. Answers may hold secrets that are shown once, so none is kept. */
const defaults: readonly (readonly [name: string, value: string])[] = [
  ['content-security-policy', closedPolicy],
  ['cache-control', 'no-store'],
];

export function setSecurityHeaders(headers: Headers): void {
  for (const [name, value] of defaults) {
    if (!headers.has(name)) headers.set(name, value);
  }
  headers.set('x-content-type-options', 'nosniff');
  headers.set('referrer-policy', 'same-origin');
  headers.set('x-frame-options', 'DENY');
}
