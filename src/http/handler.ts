import { principalRecord } from '../domain/access/principal.js';
import type { Deps } from '../domain/deps.js';
import { createDomain } from '../domain/domain.js';
import { BodyTooLargeError, NotFoundError, ValidationError } from '../errors.js';
import { buildSchema } from '../graphql/schema.js';
import { createAuthEndpoint } from './auth-endpoint.js';
import { bodyBytesMax, declaresTooMuch } from './body.js';
import { createContextFactory } from './context.js';
import { isPreflight, setCorsHeaders } from './cors.js';
import { createDirectAnswerer, type DirectAnswer, type DirectRequest } from './direct-answer.js';
import { errorResponse, toPublicError } from './errors.js';
import { type Exchange, openExchange } from './exchange.js';
import { createGraphiql, wantsGraphiql } from './graphiql.js';
import { createGraphqlEndpoint, graphqlPath } from './graphql-endpoint.js';
import { answerLive, answerReady, livePath, readyPath } from './health.js';
import { createOrigins } from './origins.js';
import { createIdentityProvider, type IdentityProviderOptions } from './principals/identity-provider.js';
import { createResolver } from './principals/resolve.js';
import { authPath, createSessions, type PasswordHashing } from './principals/session.js';
import { createPublisher } from './publish.js';
import { createRedact } from './redact.js';
import { setSecurityHeaders } from './security-headers.js';

export interface HandlerOptions {
  readonly deps: Deps;
  /** 32 bytes; the key that signs sessions is derived from it. */
  readonly encryptionKey: Uint8Array;
  /** The address that people and cookies see. */
  readonly publicUrl: string;
  /** Origins beside the server's own whose pages may use a session's cookie. */
  readonly allowedOrigins: readonly string[];
  /** Null where no outside identity provider is trusted. */
  readonly identityProvider: IdentityProviderOptions | null;
  /** How often one principal may run one management mutation. */
  readonly mutationsPerMinute: number;
  readonly passwordHashing?: PasswordHashing | undefined;
}

/** Where a request came from, as only the connection knows. */
export interface ConnectionInfo {
  readonly address: string | null;
}

export interface Handler {
  /** Answers any request, and never throws. */
  fetch(request: Request, info: ConnectionInfo): Promise<Response>;
  /** Answers a plain GraphQL operation that no browser sent; null, before anything happened, for what {@link fetch} has to answer. */
  answerDirectly(request: DirectRequest): Promise<Pick<DirectAnswer, 'status' | 'headers' | 'body'> | null>;
  /** From now on the server is not ready, and asks its clients to let go of their connections. */
  drain(): void;
}

/** The whole server as one function from request to answer, without a port. */
export function createHandler(options: HandlerOptions): Handler {
  const { deps } = options;
  const { log } = deps;
  const redact = createRedact(deps.products.all);
  const origins = createOrigins(options.publicUrl, options.allowedOrigins);
  const sessions = createSessions({
    deps,
    encryptionKey: options.encryptionKey,
    publicUrl: options.publicUrl,
    origins,
    passwordHashing: options.passwordHashing,
  });
  const identityProvider = options.identityProvider && createIdentityProvider(options.identityProvider, deps);
  const resolvePrincipal = createResolver({ deps, sessions, identityProvider, origins });
  const createContext = createContextFactory({ deps, domain: createDomain(deps), sessions, resolvePrincipal });
  const schema = buildSchema({ mutationsPerMinute: options.mutationsPerMinute });
  const publish = createPublisher({ log, redact, products: deps.products });
  const graphql = createGraphqlEndpoint({ schema, createContext, publish });
  const answerGraphiql = createGraphiql(new URL(options.publicUrl).origin);
  const answerAuth = createAuthEndpoint({ deps, sessions, redact });
  const answerDirectly = createDirectAnswerer(graphql);
  let isClosing = false;

  async function answer(request: Request, exchange: Exchange): Promise<Response> {
    if (isPreflight(request)) return new Response(null, { status: 204 });
    const path = pathOf(request);
    if (path === null) throw new ValidationError('url', 'The address of the request is not one.');
    if (declaresTooMuch(request)) throw new BodyTooLargeError(bodyBytesMax);
    if (path === graphqlPath)
      return wantsGraphiql(request) ? answerGraphiql(request) : graphql.answer(request, exchange);
    if (path.startsWith(`${authPath}/`)) return answerAuth(request, exchange);
    if (request.method === 'GET' || request.method === 'HEAD') {
      if (path === livePath) return answerLive();
      if (path === readyPath) return answerReady(deps, isClosing);
      if (path === '/') return new Response(null, { status: 302, headers: { location: graphqlPath } });
    }
    throw new NotFoundError('path', `There is nothing at this path. GraphQL is at ${graphqlPath}.`);
  }

  function refuse(error: unknown, { requestId }: Exchange): Response {
    const shown = toPublicError(error, redact);
    if (shown.unexpected !== null) log.error({ err: shown.unexpected, requestId }, 'A request failed unexpectedly.');
    return errorResponse(shown, requestId);
  }

  function finish(response: Response, request: Request, exchange: Exchange): Response {
    const { headers, status } = response;
    exchange.forEachResponseHeader((value, name) => {
      if (name === 'set-cookie') headers.append(name, value);
      else headers.set(name, value);
    });
    headers.set('x-request-id', exchange.requestId);
    // RFC 9110, 11.6.1.
    if (status === 401) headers.set('www-authenticate', challenge);
    if (isClosing) headers.set('connection', 'close');
    setCorsHeaders(headers, request, origins);
    setSecurityHeaders(headers);
    return response;
  }

  function logAnswer(method: string, path: string | null, status: number, startedAt: number, exchange: Exchange): void {
    const level = path === livePath || path === readyPath ? 'debug' : 'info';
    if (!log.isLevelEnabled(level)) return;
    log[level](
      {
        requestId: exchange.requestId,
        method,
        path: path === null ? null : redact(path.slice(0, loggedPathLengthMax)),
        status,
        ms: Math.round((performance.now() - startedAt) * 10) / 10,
        principal: exchange.principal && principalRecord(exchange.principal),
      },
      'request',
    );
  }

  return {
    async fetch(request, { address }) {
      const startedAt = performance.now();
      const exchange = openExchange(request, address);
      const response = await answer(request, exchange).catch((error: unknown) => refuse(error, exchange));
      logAnswer(request.method, pathOf(request), response.status, startedAt, exchange);
      return finish(response, request, exchange);
    },
    async answerDirectly(request) {
      const startedAt = performance.now();
      const answered = await answerDirectly(request);
      if (answered === null) return null;
      const { exchange, status, body } = answered;
      logAnswer('POST', graphqlPath, status, startedAt, exchange);
      // An object with as many names as these have together would be slow to make, and slow to get rid of.
      const headers = answered.headers.concat(directHeaders);
      headers.push('x-request-id', exchange.requestId);
      exchange.forEachResponseHeader((value, name) => setHeader(headers, name, value));
      if (status === 401) headers.push('www-authenticate', challenge);
      if (isClosing) headers.push('connection', 'close');
      return { status, headers, body };
    },
    drain() {
      isClosing = true;
    },
  };
}

const loggedPathLengthMax = 200;

const challenge = 'Bearer realm="tollkeeper"';

/** What stands on every answer that no browser asked for; the same that a browser's answer has. */
const directHeaders: readonly string[] = (() => {
  const headers = new Headers({ vary: 'origin' });
  setSecurityHeaders(headers);
  return [...headers].flat();
})();

/** Sets one of the headers that stand in turn with their values. */
function setHeader(headers: string[], name: string, value: string): void {
  const at = headers.findIndex((each, index) => index % 2 === 0 && each === name);
  if (at === -1) headers.push(name, value);
  else headers[at + 1] = value;
}

/** Without the query, which may hold a document and its variables. Null for an address that is none. */
function pathOf(request: Request): string | null {
  try {
    return new URL(request.url).pathname;
  } catch {
    return null;
  }
}
