import { LRUCache } from 'lru-cache';
import type { Principal, ServicePrincipal } from '../../domain/access/principal.js';
import type { AuthenticationKind } from '../../domain/identity/authentication-failures.js';
import { findOrCreateExternalUser, type SignedInUser } from '../../domain/identity/external-users.js';
import { createServiceFinder } from '../../domain/identity/service-tokens.js';
import type { Credential } from '../../domain/keys/credential.js';
import { authenticateApiKey } from '../../domain/verification/authenticate.js';
import { ensurePersonalWorkspace } from '../../domain/workspaces/personal.js';
import { ForbiddenError, StaleCookieError, UnauthenticatedError } from '../../errors.js';
import type { Services } from '../../graphql/services.js';
import { findBearerProduct, looksLikeBearer } from '../../products/find-product.js';
import type { Product, Wording } from '../../products/product.js';
import type { Origins } from '../origins.js';
import { type RequestHead, readHeader } from '../request-scope.js';
import { readCredential } from './credentials.js';
import { type IdentityProvider, looksLikeJwt } from './identity-provider.js';
import type { Sessions } from './session.js';

/** The principal of a request, and what it means for the response. */
export interface Identity {
  readonly principal: Principal;
  /** The product whose rate limits and wording apply. Only for an API key. */
  readonly product: Product | null;
  /** `set-cookie` values that renew a session. */
  readonly setCookies: readonly string[];
}

/**
 * Identifies the principal of a request. Synchronous for a service token that was used recently, the most
 * frequent credential.
 * @throws UnauthenticatedError for a wrong credential, ValidationError for two credentials at once
 */
export type ResolvePrincipal = (request: RequestHead) => Identity | Promise<Identity>;

export interface ResolverOptions {
  readonly services: Services;
  readonly sessions: Sessions;
  /** Null: no identity provider is configured. */
  readonly identityProvider: IdentityProvider | null;
  readonly origins: Origins;
}

/** Users whose personal workspace is known to exist: checking once per user and process is enough. */
const ensuredUsersMax = 10_000;

/**
 * Creates the function that identifies principals.
 *
 * A bearer token is recognised by its form, in this order: a service token, a product's key, a token of the
 * identity provider, a session. A token of another form is refused like an unknown key. A wrong credential
 * never makes the request anonymous.
 */
export function createResolver({ services, sessions, identityProvider, origins }: ResolverOptions): ResolvePrincipal {
  const ensured = new LRUCache<string, true>({ max: ensuredUsersMax });
  const findService = createServiceFinder(services.db);

  return (request) => {
    const presented = readCredential(request, {
      products: services.products,
      origins,
      cookieName: sessions.cookieName,
    });
    switch (presented.kind) {
      case 'none':
        return { principal: { kind: 'anonymous' }, product: null, setCookies: [] };
      case 'unusable':
        count('MALFORMED');
        throw refusal((presented.product ?? services.products.primary).wording[presented.code]);
      case 'pair':
        return asApiKey(presented, request);
      case 'bearer':
        return fromBearer(presented.token, request);
      case 'cookie':
        return fromCookie(presented.cookie);
    }
  };

  async function fromCookie(cookie: string): Promise<Identity> {
    const found = await sessions.findByCookie(cookie);
    if (found === null) {
      count('SESSION');
      throw new StaleCookieError('The session has ended. Sign in again.');
    }
    return asUser(found.user, found.setCookies);
  }

  function fromBearer(token: string, request: RequestHead): Identity | Promise<Identity> {
    if (!token.startsWith('tks_')) return fromForeignBearer(token, request);
    const found = findService(token);
    return found instanceof Promise ? found.then(asService) : asService(found);
  }

  function asService(principal: ServicePrincipal | null): Identity {
    if (principal === null) throw unknownCredential('SERVICE_TOKEN');
    return { principal, product: null, setCookies: [] };
  }

  async function fromForeignBearer(token: string, request: RequestHead): Promise<Identity> {
    if (findBearerProduct(services.products, token) !== null || looksLikeBearer(services.products, token) !== null) {
      return asApiKey({ kind: 'bearer', token }, request);
    }
    if (identityProvider !== null && looksLikeJwt(token)) {
      const identity = await identityProvider.verify(token);
      if (identity === null) throw unknownCredential('IDENTITY_TOKEN');
      return asUser(await findOrCreateExternalUser(services.db, identity));
    }
    const user = looksLikeSession(token) ? await sessions.findByToken(token) : null;
    return user === null ? asApiKey({ kind: 'bearer', token }, request) : asUser(user);
  }

  async function asApiKey(credential: Credential, request: RequestHead): Promise<Identity> {
    const outcome = await authenticateApiKey(services, credential, readHeader(request, 'origin'));
    if (outcome.kind === 'refused') {
      count('API_KEY');
      throw refusal(outcome.wording);
    }
    return { principal: outcome.principal, product: outcome.product, setCookies: [] };
  }

  async function asUser(user: SignedInUser, setCookies: readonly string[] = []): Promise<Identity> {
    if (!ensured.has(user.id)) {
      await ensurePersonalWorkspace(services.db, user);
      ensured.set(user.id, true);
    }
    return { principal: { kind: 'user', userId: user.id, email: user.email }, product: null, setCookies };
  }

  function count(kind: AuthenticationKind): void {
    services.authenticationFailures.count(kind, services.clock());
  }

  function unknownCredential(kind: AuthenticationKind): Error {
    count(kind);
    return refusal(services.products.primary.wording.INVALID_CREDENTIAL);
  }
}

/** Some products refuse the key of a suspended workspace with 403. */
function refusal({ message, code, status }: Wording): UnauthenticatedError | ForbiddenError {
  return status === 403 ? new ForbiddenError('', message, code) : new UnauthenticatedError(message, code, status);
}

/**
 * A token of better-auth: 32 letters and digits, optionally with the signature from a cookie or
 * `set-auth-token`.
 */
function looksLikeSession(token: string): boolean {
  return /^[A-Za-z0-9]{32}(?:\.[A-Za-z0-9+/=_%-]{20,100})?$/.test(token);
}
