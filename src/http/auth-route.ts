import { type IncomingMessage, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import type { RateLimitPolicy } from '../domain/rate-limits/limiter.js';
import { NotFoundError, RateLimitedError } from '../errors.js';
import type { Services } from '../graphql/services.js';
import { type Answer, answerJson, toHeaderList } from './answer.js';
import { type PublicError, toExtensions } from './errors.js';
import { addressHeader, authPath, type Sessions } from './principals/session.js';
import { parseJson, readBody } from './request-body.js';
import { type RequestScope, readMediaType } from './request-scope.js';

/**
 * Makes guessing passwords slow from one address. Sign-up is not limited: the people of a company share an
 * address.
 */
const signInPolicy: RateLimitPolicy = { rateLimits: [{ limit: 60, windowSeconds: 60 }], rateLimitFallback: 'open' };

export interface AuthRouteOptions {
  readonly services: Pick<Services, 'authenticationFailures' | 'limiter' | 'clock'>;
  readonly sessions: Pick<Sessions, 'handle'>;
}

/**
 * Sign-up, sign-in and sessions: better-auth by its Node handler. This server limits the body, the attempts
 * to sign in, and what better-auth believes about the request's origin.
 */
export function createAuthRoute({ services, sessions }: AuthRouteOptions): (scope: RequestScope) => Promise<Answer> {
  return async (scope) => {
    if (isSignIn(scope)) await limitSignIn(services, scope);
    const response = new CollectedResponse(scope.request);
    await sessions.handle(await prepareRequest(scope), response);
    const answer = await response.collected;
    if (answer.status === 401 && isSignIn(scope)) services.authenticationFailures.count('PASSWORD', services.clock());
    if (answer.status === 404) throw notFound();
    return answer;
  };
}

/** The form of better-auth's own errors, which its clients read. */
export function answerAuthError(error: PublicError, requestId: string): Answer {
  const body = { message: error.message, ...toExtensions(error, requestId) };
  return answerJson(body, error.status, toHeaderList(error.headers));
}

function notFound(): NotFoundError {
  return new NotFoundError('path', 'There is nothing at this path.');
}

/** @throws RateLimitedError */
async function limitSignIn({ limiter, clock }: AuthRouteOptions['services'], { address }: RequestScope): Promise<void> {
  const decision = await limiter.take(`sign-in:${networkOf(address)}`, signInPolicy, clock());
  if (decision.allowed) return;
  throw new RateLimitedError('Too many attempts to sign in. Wait and try again.', decision.retryAfterSeconds);
}

function isSignIn({ method, path }: RequestScope): boolean {
  return method === 'POST' && path?.startsWith(`${authPath}/sign-in/`) === true;
}

/** The /64 of an IPv6 address, all of which one household or machine has. */
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

/**
 * The request as better-auth gets it: with a body that was read within its limit, a path without a host, and
 * headers that this server vouches for. @throws BodyTooLargeError, ValidationError, NotFoundError
 */
async function prepareRequest(scope: RequestScope): Promise<IncomingMessage> {
  const { request, method, url } = scope;
  // better-auth has routes for no other method, and a WHATWG request refuses some of them.
  if (url === null || (method !== 'GET' && method !== 'POST')) throw notFound();
  const body = method === 'POST' ? await readBody(request) : Buffer.alloc(0);
  // better-auth would report broken JSON as a failure of its own.
  if (body.length > 0 && readMediaType(request) === 'application/json') parseJson(body);
  return Object.create(request, {
    url: { value: url.pathname + url.search },
    headers: { value: trustedHeaders(scope) },
    // The Node handler takes a body that has been read from here.
    body: { value: body.length > 0 ? body.toString() : undefined },
  }) as IncomingMessage;
}

/** Headers by which a client or a proxy could change the URL and the address that better-auth sees. */
const untrusted = /^(?::authority|host|forwarded|x-forwarded-.*|x-real-ip)$/;

/**
 * Host and protocol are those of the public URL, and the address is that of the connection. The Node handler
 * builds the request's URL from `host` and `x-forwarded-proto`, which a client can set.
 */
function trustedHeaders({ request, origin, address }: RequestScope): IncomingMessage['headers'] {
  const { host, protocol } = new URL(origin);
  const headers: IncomingMessage['headers'] = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => !untrusted.test(name) && name !== addressHeader),
  );
  // Node's fetch sends these two without an origin, which better-auth would take for a forged form. A browser
  // also sends `sec-fetch-site`, and then all of them are passed on.
  if (headers['sec-fetch-site'] === undefined && headers.origin === undefined) {
    delete headers['sec-fetch-mode'];
    delete headers['sec-fetch-dest'];
  }
  return {
    ...headers,
    host,
    'x-forwarded-proto': protocol.slice(0, -1),
    ...(address === null ? {} : { [addressHeader]: address }),
  };
}

/** Collects a response instead of sending it, so that the pipeline finishes and sends it like all others. */
class CollectedResponse extends ServerResponse {
  readonly collected: Promise<Answer>;
  readonly #chunks: Buffer[] = [];
  #resolve: (answer: Answer) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(request: IncomingMessage) {
    super(request);
    this.collected = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whether it is awaited depends on the handler.
    this.collected.catch(() => undefined);
  }

  override writeHead(statusCode: number): this {
    this.statusCode = statusCode;
    return this;
  }

  override write(chunk: string | Uint8Array): boolean {
    this.#chunks.push(Buffer.from(chunk as Uint8Array));
    return true;
  }

  override end(chunk?: unknown): this {
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) this.write(chunk);
    const headers = Object.entries(this.getHeaders()).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).flatMap((each) => [name, String(each)]),
    );
    this.#resolve({ status: this.statusCode, headers, body: Buffer.concat(this.#chunks) });
    return this;
  }

  override destroy(error?: Error): this {
    this.#reject(error ?? new Error('The response of better-auth broke off.'));
    return this;
  }
}
