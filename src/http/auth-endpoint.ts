import { isIPv6 } from 'node:net';
import type { Deps } from '../domain/deps.js';
import type { RateLimitPolicy } from '../domain/rate-limits/limiter.js';
import { NotFoundError, RateLimitedError } from '../errors.js';
import { mediaType, parseJson, readBody } from './body.js';
import { type PublicError, toExtensions, toPublicError } from './errors.js';
import type { Exchange } from './exchange.js';
import { addressHeader, authPath, type Sessions } from './principals/session.js';
import type { Redact } from './redact.js';

/** Guessing passwords is slow for one address. Signing up is not limited: a company's people share an address. */
const signInPolicy: RateLimitPolicy = { rateLimits: [{ limit: 60, windowSeconds: 60 }], rateLimitFallback: 'open' };

export interface AuthEndpointOptions {
  readonly deps: Pick<Deps, 'authenticationFailures' | 'limiter' | 'clock' | 'log'>;
  readonly sessions: Pick<Sessions, 'handle'>;
  readonly redact: Redact;
}

/** Sign-up, sign-in and sessions: better-auth, behind this server's limits and its masking of errors. */
export function createAuthEndpoint({ deps, sessions, redact }: AuthEndpointOptions) {
  return async function answerAuth(request: Request, exchange: Exchange): Promise<Response> {
    try {
      await throttleSignIn(deps, request, exchange);
      const response = await sessions.handle(await prepare(request, exchange));
      if (response.status === 401 && isSignIn(request)) deps.authenticationFailures.count('PASSWORD', deps.clock());
      return response.status === 404 ? refuse(toPublicError(notFound(), redact), exchange) : response;
    } catch (error) {
      const shown = toPublicError(error, redact);
      if (shown.unexpected !== null) {
        deps.log.error({ err: shown.unexpected, requestId: exchange.requestId }, 'A request failed unexpectedly.');
      }
      return refuse(shown, exchange);
    }
  };
}

function notFound(): NotFoundError {
  return new NotFoundError('path', 'There is nothing at this path.');
}

/** In the form of better-auth's own errors, which its clients read. */
function refuse(error: PublicError, { requestId }: Exchange): Response {
  return Response.json(
    { message: error.message, ...toExtensions(error, requestId) },
    { status: error.status, headers: error.headers },
  );
}

async function throttleSignIn(
  { limiter, clock }: AuthEndpointOptions['deps'],
  request: Request,
  { address }: Exchange,
) {
  if (!isSignIn(request)) return;
  const decision = await limiter.take(`sign-in:${networkOf(address)}`, signInPolicy, clock());
  if (decision.allowed) return;
  throw new RateLimitedError('Too many attempts to sign in. Wait and try again.', decision.retryAfterSeconds);
}

function isSignIn({ method, url }: Request): boolean {
  return method === 'POST' && new URL(url).pathname.startsWith(`${authPath}/sign-in/`);
}

/** An IPv6 address counts by its /64, all of which one household or machine holds. */
export function networkOf(address: string | null): string {
  if (address === null) return 'unknown';
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [left = '', right] = address.split('%', 1).join('').split('::');
  const leading = left === '' ? [] : left.split(':');
  const trailing = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array.from({ length: 8 - leading.length - trailing.length }, () => '0');
  return [...leading, ...(right === undefined ? [] : zeros), ...trailing].slice(0, 4).join(':');
}

/** Reads the request within the limits, and says on it where it came from. @throws BodyTooLargeError, ValidationError */
async function prepare(request: Request, { address }: Exchange): Promise<Request> {
  const headers = new Headers([...request.headers]);
  headers.delete(addressHeader);
  if (address !== null) headers.set(addressHeader, address);
  // Node's fetch sends these two and no origin, for which better-auth would take it for a forged form. A browser, whose
  // page another site may have made, says where the page is from: then all of them stay.
  if (!headers.has('sec-fetch-site') && !headers.has('origin')) {
    headers.delete('sec-fetch-mode');
    headers.delete('sec-fetch-dest');
  }
  if (request.method === 'GET' || request.method === 'HEAD')
    return new Request(request.url, { method: request.method, headers });
  const body = await readBody(request);
  // better-auth would take broken JSON for a failure of its own.
  if (body.length > 0 && mediaType(request) === 'application/json') parseJson(body);
  return new Request(request.url, { method: request.method, headers, body: body.length > 0 ? body : null });
}
