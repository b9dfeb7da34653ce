import type { Deps } from '../domain/deps.js';
import type { Domain } from '../domain/domain.js';
import { RateLimitedError } from '../domain/errors.js';
import { rateLimitHeaders } from '../domain/rate-limits/headers.js';
import type { Context } from '../graphql/context.js';
import { createLoaders } from '../graphql/loaders.js';
import type { Exchange } from './exchange.js';
import { readKeyedCall } from './idempotency-key.js';
import { type Identity, StaleCookieError } from './principals/resolve.js';
import type { Sessions } from './principals/session.js';
import type { RequestHead } from './request-head.js';

export interface ContextOptions {
  readonly deps: Deps;
  readonly domain: Domain;
  readonly sessions: Pick<Sessions, 'expiredCookie'>;
  readonly resolvePrincipal: (request: RequestHead) => Promise<Identity>;
}

/**
 * Makes the function that turns a request into what its resolvers get. It throws what ends a request before anything
 * is asked: UnauthenticatedError, ValidationError for two credentials or an Idempotency-Key that is none, RateLimitedError, UnavailableError.
 */
export function createContextFactory({ deps, domain, sessions, resolvePrincipal }: ContextOptions) {
  return async function createContext(request: RequestHead, exchange: Exchange): Promise<Context> {
    const { requestId, address, responseHeaders } = exchange;
    const identity = await resolvePrincipal(request).catch((error: unknown) => {
      if (error instanceof StaleCookieError) responseHeaders.append('set-cookie', sessions.expiredCookie);
      throw error;
    });
    exchange.principal = identity.principal;
    for (const cookie of identity.setCookies) responseHeaders.append('set-cookie', cookie);
    await takeFromRateLimits(deps, identity, responseHeaders);
    return {
      actor: {
        principal: identity.principal,
        requestId,
        address,
        idempotency: readKeyedCall(request, responseHeaders),
      },
      domain,
      deps,
      loaders: createLoaders(deps),
      responseHeaders,
    };
  };
}

/** A key's own requests count in the same windows as its verifications: what a product promises per key, it promises once. */
async function takeFromRateLimits(
  { limiter, clock }: Deps,
  { principal, product }: Identity,
  responseHeaders: Headers,
): Promise<void> {
  if (principal.kind !== 'apiKey' || product === null || product.rateLimits.length === 0) return;
  const decision = await limiter.take(principal.apiKeyId, product, clock());
  for (const { name, value } of rateLimitHeaders(decision)) responseHeaders.set(name, value);
  if (decision.allowed) return;
  const { message, code } = product.wording.RATE_LIMITED;
  throw new RateLimitedError(message, decision.retryAfterSeconds, code);
}
