import type { ExecutionResult } from 'graphql';
import type { GraphQLParams, YogaInitialContext } from 'graphql-yoga';
import type { Actor, ApiKeyPrincipal } from '../domain/access/principal.js';
import type { IdempotentRequest } from '../domain/commands/idempotency.js';
import { rateLimitHeaders } from '../domain/rate-limits/headers.js';
import { RateLimitedError, StaleCookieError } from '../errors.js';
import type { Context } from '../graphql/context.js';
import { createLoaders, type Loaders } from '../graphql/loaders.js';
import type { Services } from '../graphql/services.js';
import type { Product } from '../products/product.js';
import { readIdempotencyKey } from './idempotency-key.js';
import type { Identity, ResolvePrincipal } from './principals/resolve.js';
import type { Sessions } from './principals/session.js';
import { startQueryDeadline } from './query-deadline.js';
import type { RequestScope } from './request-scope.js';

/**
 * The context of resolvers, and what hooks of Yoga and Envelop find in it. Its `request` has method, URL and
 * headers of a WHATWG request and nothing else: the body has been read.
 */
export interface HookContext extends Context, YogaInitialContext {}

export interface ContextOptions {
  readonly services: Services;
  readonly sessions: Pick<Sessions, 'expiredCookie'>;
  readonly resolvePrincipal: ResolvePrincipal;
  /** How long the execution of a query may take. */
  readonly queryMsMax: number;
}

/**
 * Creates the function that identifies the principal of a request and makes the context of its resolvers,
 * synchronously if the principal is known. It throws what refuses the whole request: UnauthenticatedError, ValidationError for two credentials or an
 * invalid Idempotency-Key, RateLimitedError, UnavailableError.
 */
export function createContextFactory({ services, sessions, resolvePrincipal, queryMsMax }: ContextOptions) {
  return function createContext(scope: RequestScope): HookContext | Promise<HookContext> {
    const resolving = resolvePrincipal(scope.request);
    return resolving instanceof Promise ? awaitIdentity(resolving, scope) : createFor(resolving, scope);
  };

  async function awaitIdentity(resolving: Promise<Identity>, scope: RequestScope): Promise<HookContext> {
    let identity: Identity;
    try {
      identity = await resolving;
    } catch (error) {
      if (error instanceof StaleCookieError) scope.responseHeaders.append('set-cookie', sessions.expiredCookie);
      throw error;
    }
    for (const cookie of identity.setCookies) scope.responseHeaders.append('set-cookie', cookie);
    if (hasRateLimits(identity)) {
      // For the wording of a refusal.
      scope.principal = identity.principal;
      await takeFromRateLimits(services, identity, scope);
    }
    return createFor(identity, scope);
  }

  function createFor({ principal }: Identity, scope: RequestScope): HookContext {
    scope.principal = principal;
    const actor = { principal, requestId: scope.requestId, address: scope.address };
    return new RequestContext(services, actor, readIdempotencyKey(scope), scope, queryMsMax);
  }
}

/** Most operations need neither loaders nor response headers, so these are created on first use. */
class RequestContext implements HookContext {
  isWithinLimits = false;
  introspectionCost = 0;
  params: GraphQLParams = {};
  readonly request: Request;
  #loaders: Loaders | null = null;
  readonly #scope: RequestScope;
  readonly #queryMsMax: number;

  constructor(
    public services: Services,
    readonly actor: Actor,
    readonly idempotency: IdempotentRequest | null,
    scope: RequestScope,
    queryMsMax: number,
  ) {
    this.#scope = scope;
    this.#queryMsMax = queryMsMax;
    this.request = new HookRequest(scope) as Pick<Request, 'method' | 'url' | 'headers'> as Request;
  }

  get loaders(): Loaders {
    this.#loaders ??= createLoaders(this.services, this.actor.principal);
    return this.#loaders;
  }

  get responseHeaders(): Headers {
    return this.#scope.responseHeaders;
  }

  async executeQuery(execute: () => ExecutionResult | Promise<ExecutionResult>): Promise<ExecutionResult> {
    const deadline = startQueryDeadline(this.#scope.response, this.#queryMsMax);
    try {
      const reads = await this.services.openReads(deadline.signal);
      this.services = { ...this.services, db: reads.db };
      try {
        return await Promise.race([execute(), deadline.aborted]);
      } finally {
        reads.close();
      }
    } finally {
      deadline.end();
    }
  }

  /** For hooks that go on working after the response. */
  waitUntil(work: unknown): void {
    Promise.resolve(work).catch((error: unknown) =>
      this.services.log.error({ err: error, requestId: this.actor.requestId }, 'A plugin failed after the response.'),
    );
  }
}

class HookRequest implements Pick<Request, 'method' | 'url' | 'headers'> {
  readonly #scope: RequestScope;
  #headers: Headers | null = null;

  constructor(scope: RequestScope) {
    this.#scope = scope;
  }

  get method(): string {
    return this.#scope.method;
  }

  get url(): string {
    return this.#scope.url?.href ?? this.#scope.origin;
  }

  get headers(): Headers {
    this.#headers ??= new Headers(
      Object.entries(this.#scope.request.headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)] as [string, string]],
      ),
    );
    return this.#headers;
  }
}

type LimitedIdentity = Identity & { readonly principal: ApiKeyPrincipal; readonly product: Product };

function hasRateLimits(identity: Identity): identity is LimitedIdentity {
  return identity.principal.kind === 'apiKey' && identity.product !== null && identity.product.rateLimits.length > 0;
}

/**
 * Requests that use an API key count in the same windows as its verifications: a product's promise per key is
 * one promise.
 */
async function takeFromRateLimits(
  { limiter, clock }: Pick<Services, 'limiter' | 'clock'>,
  { principal, product }: LimitedIdentity,
  scope: RequestScope,
): Promise<void> {
  const decision = await limiter.take(principal.apiKeyId, product, clock());
  for (const { name, value } of rateLimitHeaders(decision)) scope.responseHeaders.set(name, value);
  if (decision.allowed) return;
  const { message, code } = product.wording.RATE_LIMITED;
  throw new RateLimitedError(message, decision.retryAfterSeconds, code);
}
