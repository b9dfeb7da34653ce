import { type IncomingMessage, ServerResponse } from 'node:http';
import pLimit from 'p-limit';
import { requireSignUpAllowed } from '../domain/workspaces/sign-up.js';
import { NotFoundError, UnsupportedMediaTypeError } from '../errors.js';
import type { Services } from '../graphql/services.js';
import type { SignUpMode } from '../settings.js';
import { type Answer, answerJson, toHeaderList } from './answer.js';
import { type AttemptLimits, createAttemptLimiter, defaultAttemptLimits } from './attempt-limits.js';
import { type AuthBody, type AuthEndpoint, authEndpoints } from './auth-endpoints.js';
import { type PublicError, toExtensions } from './errors.js';
import type { Origins } from './origins.js';
import { isFromAllowedOrigin } from './principals/credentials.js';
import { hashesAtOnceMax, tooManyPasswords, waitingHashesMax } from './principals/password-hashing.js';
import { addressHeader, authPath, type Sessions } from './principals/session.js';
import { parseJson, readBody } from './request-body.js';
import { type RequestScope, readMediaType } from './request-scope.js';

export interface AuthRouteOptions {
  readonly services: Pick<Services, 'authenticationFailures' | 'limiter' | 'clock' | 'db'>;
  readonly sessions: Pick<Sessions, 'handle' | 'findByHeaders'>;
  /** Origins whose pages may use the session's cookie. */
  readonly origins: Origins;
  /** Who may sign up with a password. Default: any address. */
  readonly signUp?: SignUpMode | undefined;
  /** Default: {@link defaultAttemptLimits}. */
  readonly attemptLimits?: AttemptLimits | undefined;
}

/**
 * Enough that hashing never waits for the database, and few enough that others do not wait for them there.
 */
const attemptsAtOnceMax = 2 * hashesAtOnceMax;

/**
 * Sign-up, sign-in and sessions: better-auth by its Node handler. This server decides which endpoints there
 * are, checks their bodies, limits attempts, and decides what better-auth believes about the request's
 * origin.
 */
export function createAuthRoute({
  services,
  sessions,
  origins,
  signUp = 'open',
  attemptLimits = defaultAttemptLimits,
}: AuthRouteOptions): (scope: RequestScope) => Promise<Answer> {
  const limiter = createAttemptLimiter(services, attemptLimits);
  const limit = pLimit(attemptsAtOnceMax);

  return async (scope) => {
    const { endpoint, url } = findEndpoint(scope);
    if (endpoint.attempt !== null) await limiter.takeForNetwork(endpoint.attempt, scope.address);
    const body = endpoint.readBody(await readJson(scope));
    const headers = trustedHeaders(scope, origins);
    if (endpoint.attempt === null) return handle(scope, url, headers, body);
    // Refused here, before the database is asked anything: in a flood, most attempts end at this line.
    if (limit.activeCount + limit.pendingCount >= hashesAtOnceMax + waitingHashesMax) throw tooManyPasswords();
    const answer = await limit(async () => {
      await admit(endpoint, body, headers, scope);
      return handle(scope, url, headers, body);
    });
    if (answer.status === 401 && endpoint.attempt === 'signIn') {
      services.authenticationFailures.count('PASSWORD', services.clock());
    }
    return answer;
  };

  async function handle(
    scope: RequestScope,
    url: URL,
    headers: IncomingMessage['headers'],
    body: AuthBody | undefined,
  ): Promise<Answer> {
    const response = new CollectedResponse(scope.request);
    await sessions.handle(prepareRequest(scope, url, headers, body), response);
    return response.collected;
  }

  /** @throws RateLimitedError, SignUpRefusedError */
  async function admit(
    { attempt }: AuthEndpoint,
    body: AuthBody | undefined,
    headers: IncomingMessage['headers'],
    { address }: RequestScope,
  ): Promise<void> {
    if (attempt === null) return;
    const email = attempt === 'changePassword' ? (await sessions.findByHeaders(headers))?.email : body?.email;
    // Without a session, better-auth refuses before it hashes anything.
    if (typeof email !== 'string') return;
    await limiter.takeForAccount(attempt, email, address);
    if (attempt === 'signUp') await requireSignUpAllowed(services.db, signUp, email, services.clock());
  }
}

/** @throws NotFoundError for what is not listed */
function findEndpoint({ method, url }: RequestScope): { endpoint: AuthEndpoint; url: URL } {
  const endpoint = authEndpoints.get(`${method} ${url?.pathname.slice(authPath.length)}`);
  if (endpoint === undefined || url === null) throw new NotFoundError('path', 'There is nothing at this path.');
  return { endpoint, url };
}

/** Undefined without a body. @throws BodyTooLargeError, ValidationError, UnsupportedMediaTypeError */
async function readJson({ request, method }: RequestScope): Promise<unknown> {
  if (method !== 'POST') return undefined;
  const body = await readBody(request);
  if (body.length === 0) return undefined;
  if (readMediaType(request) !== 'application/json') throw new UnsupportedMediaTypeError();
  return parseJson(body);
}

/** The form of better-auth's own errors, which its clients read. */
export function answerAuthError(error: PublicError, requestId: string): Answer {
  const body = { message: error.message, ...toExtensions(error, requestId) };
  return answerJson(body, error.status, toHeaderList(error.headers));
}

/**
 * The request as better-auth gets it: with the checked body, a path without a host, and headers that this
 * server vouches for.
 */
function prepareRequest(
  { request }: RequestScope,
  url: URL,
  headers: IncomingMessage['headers'],
  body: AuthBody | undefined,
): IncomingMessage {
  const { 'content-type': _type, 'content-length': _length, 'transfer-encoding': _encoding, ...rest } = headers;
  const text = body && JSON.stringify(body);
  const ofBody = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text ?? '')) };
  return Object.create(request, {
    url: { value: url.pathname + url.search },
    headers: { value: text === undefined ? rest : { ...rest, ...ofBody } },
    // The Node handler takes a body that has been read from here.
    body: { value: text },
  }) as IncomingMessage;
}

/** Headers by which a client or a proxy could change the URL and the address that better-auth sees. */
const untrusted = /^(?::authority|host|forwarded|x-forwarded-.*|x-real-ip)$/;

/**
 * Host and protocol are those of the public URL, and the address is that of the client. The Node handler
 * builds the request's URL from `host` and `x-forwarded-proto`, which a client can set. A cookie that the
 * page of another origin may have caused to be sent is dropped.
 */
function trustedHeaders({ request, origin, address }: RequestScope, origins: Origins): IncomingMessage['headers'] {
  const { host, protocol } = new URL(origin);
  const headers: IncomingMessage['headers'] = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => !untrusted.test(name) && name !== addressHeader),
  );
  if (!isFromAllowedOrigin(request, origins)) delete headers.cookie;
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
