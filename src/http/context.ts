import type { ExecutionResult } from 'graphql';
import type { GraphQLParams, YogaInitialContext } from 'graphql-yoga';
import { type Actor, type ApiKeyPrincipal, principalKey } from '../domain/access/principal.js';
import type { IdempotentRequest } from '../domain/commands/idempotency.js';
import type { CostBudget } from '../domain/rate-limits/cost-budgets.js';
import { rateLimitHeaders } from '../domain/rate-limits/headers.js';
import { RateLimitedError, StaleCookieError } from '../errors.js';
import type { BudgetOfCaller, Context } from '../graphql/context.js';
import { createLoaders, type Loaders } from '../graphql/loaders.js';
import type { Services } from '../graphql/services.js';
import type { Product } from '../products/product.js';
import { networkOf } from './attempt-limits.js';
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
  /** Budget of query cost, per principal, or per address without a credential. */
  readonly costPerMinute: number;
}

/**
 * Creates the function that identifies the principal of a request and makes the context of its resolvers,
 * synchronously if the principal is known. It throws what refuses the whole request: UnauthenticatedError,
 * ValidationError for two credentials or an invalid Idempotency-Key, RateLimitedError, UnavailableError.
 */
export function createContextFactory(options: ContextOptions) {
  const { services, sessions, resolvePrincipal } = options;
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
    return new RequestContext(services, actor, readIdempotencyKey(scope), scope, options);
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
  readonly #options: Pick<ContextOptions, 'queryMsMax' | 'costPerMinute'>;
  #budget: OperationBudget | null = null;

  constructor(
    public services: Services,
    readonly actor: Actor,
    readonly idempotency: IdempotentRequest | null,
    scope: RequestScope,
    options: Pick<ContextOptions, 'queryMsMax' | 'costPerMinute'>,
  ) {
    this.#scope = scope;
    this.#options = options;
    this.request = new HookRequest(scope) as Pick<Request, 'method' | 'url' | 'headers'> as Request;
  }

  get loaders(): Loaders {
    this.#loaders ??= createLoaders(this.services, this.actor.principal);
    return this.#loaders;
  }

  get budget(): OperationBudget {
    this.#budget ??= new OperationBudget(this.services, callerOf(this.actor, this.#scope), this.#options.costPerMinute);
    return this.#budget;
  }

  get responseHeaders(): Headers {
    return this.#scope.responseHeaders;
  }

  async executeQuery(execute: () => ExecutionResult | Promise<ExecutionResult>): Promise<ExecutionResult> {
    const deadline = startQueryDeadline(this.#scope.response, this.#options.queryMsMax);
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

/**
 * Whose budget an operation takes from: callers without a credential share one per address, or /64 of IPv6.
 */
function callerOf({ principal }: Actor, { address }: RequestScope): string {
  return principal.kind === 'anonymous' ? `network:${networkOf(address)}` : principalKey(principal);
}

class OperationBudget implements BudgetOfCaller {
  cost = 0;

  constructor(
    readonly services: Pick<Services, 'budgets' | 'clock'>,
    readonly caller: string,
    readonly limit: number,
  ) {}

  async take(cost: number): Promise<void> {
    this.cost = Math.max(1, Math.ceil(cost));
    const { budgets, clock } = this.services;
    const now = clock();
    const { allowed, remaining, resetAt } = await budgets.take(this.caller, this.cost, this.limit, now);
    if (allowed) return;
    const seconds = Math.max(1, Math.ceil((resetAt.getTime() - now.getTime()) / 1_000));
    throw new RateLimitedError(
      `The operation costs ${this.cost}, and ${remaining} of the budget of ${this.limit} per minute is left. Try again in ${seconds} seconds.`,
      seconds,
    );
  }

  read(): Promise<CostBudget> {
    const { budgets, clock } = this.services;
    return budgets.peek(this.caller, this.limit, clock());
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
