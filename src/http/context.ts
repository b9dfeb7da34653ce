import type { Actor, ApiKeyPrincipal } from '../domain/access/principal.js';
import type { Deps } from '../domain/deps.js';
import type { Domain } from '../domain/domain.js';
import { rateLimitHeaders } from '../domain/rate-limits/headers.js';
import { RateLimitedError, StaleCookieError } from '../errors.js';
import type { Context } from '../graphql/context.js';
import { createLoaders, type Loaders } from '../graphql/loaders.js';
import type { Product } from '../products/product.js';
import type { Exchange } from './exchange.js';
import { readKeyedCall } from './idempotency-key.js';
import type { Identity, ResolvePrincipal } from './principals/resolve.js';
import type { Sessions } from './principals/session.js';
import type { RequestHead } from './request-head.js';

export interface ContextOptions {
  readonly deps: Deps;
  readonly domain: Domain;
  readonly sessions: Pick<Sessions, 'expiredCookie'>;
  readonly resolvePrincipal: ResolvePrincipal;
}

/**
 * Makes the function that turns a request into what its resolvers get. It throws what ends a request before anything
 * is asked: UnauthenticatedError, ValidationError for two credentials or an Idempotency-Key that is none, RateLimitedError, UnavailableError.
 */
export function createContextFactory({ deps, domain, sessions, resolvePrincipal }: ContextOptions) {
  return async function createContext(request: RequestHead, exchange: Exchange): Promise<Context> {
    const { requestId, address } = exchange;
    let identity: Identity;
    try {
      const resolving = resolvePrincipal(request);
      identity = resolving instanceof Promise ? await resolving : resolving;
    } catch (error) {
      if (error instanceof StaleCookieError) exchange.responseHeaders.append('set-cookie', sessions.expiredCookie);
      throw error;
    }
    exchange.principal = identity.principal;
    for (const cookie of identity.setCookies) exchange.responseHeaders.append('set-cookie', cookie);
    if (hasRateLimits(identity)) await takeFromRateLimits(deps, identity, exchange);
    const { principal } = identity;
    const actor = { principal, requestId, address, idempotency: readKeyedCall(request, exchange) };
    return new RequestContext(deps, domain, actor, exchange);
  };
}

/** The request that comes most often needs neither loaders nor headers, so they are made when they are asked for. */
class RequestContext implements Context {
  isWeighed = false;
  #loaders: Loaders | null = null;
  readonly #exchange: Exchange;

  constructor(
    readonly deps: Deps,
    readonly domain: Domain,
    readonly actor: Actor,
    exchange: Exchange,
  ) {
    this.#exchange = exchange;
  }

  get loaders(): Loaders {
    this.#loaders ??= createLoaders(this.deps, this.actor.principal);
    return this.#loaders;
  }

  get responseHeaders(): Headers {
    return this.#exchange.responseHeaders;
  }
}

type LimitedIdentity = Identity & { readonly principal: ApiKeyPrincipal; readonly product: Product };

function hasRateLimits(identity: Identity): identity is LimitedIdentity {
  return identity.principal.kind === 'apiKey' && identity.product !== null && identity.product.rateLimits.length > 0;
}

/** A key's own requests count in the same windows as its verifications: what a product promises per key, it promises once. */
async function takeFromRateLimits(
  { limiter, clock }: Deps,
  { principal, product }: LimitedIdentity,
  exchange: Exchange,
): Promise<void> {
  const decision = await limiter.take(principal.apiKeyId, product, clock());
  for (const { name, value } of rateLimitHeaders(decision)) exchange.responseHeaders.set(name, value);
  if (decision.allowed) return;
  const { message, code } = product.wording.RATE_LIMITED;
  throw new RateLimitedError(message, decision.retryAfterSeconds, code);
}
