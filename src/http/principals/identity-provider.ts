import { createRemoteJWKSet, decodeJwt, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { type ExternalIdentity, readExternalIdentity } from '../../domain/identity/external-users.js';
import { UnavailableError } from '../../errors.js';
import type { Services } from '../../graphql/services.js';

/** An external identity provider, from the environment. */
export interface IdentityProviderOptions {
  /** The exact `iss` of its tokens. */
  readonly issuer: string;
  /** The `aud` of its tokens for this server. */
  readonly audience: string;
}

export interface IdentityProvider {
  /**
   * The user that a token identifies, or null for an invalid token.
   * @throws UnavailableError if the provider's keys cannot be fetched
   */
  verify(token: string): Promise<ExternalIdentity | null>;
}

/** Signatures with a key pair only: a shared secret does not prove who signed. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const fetchTimeoutMs = 5_000;
/** Pause after a failure, so that concurrent requests do not all wait for the provider. */
const retryAfterMs = 5_000;
const keysAgeMaxMs = 10 * 60_000;
const keysCooldownMs = 30_000;
const discoveryLengthMax = 100_000;
const subjectLengthMax = 255;
/** For clocks that differ. */
const clockToleranceSeconds = 30;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

/** Whether a bearer token has the form of a JWT in compact form. */
export function looksLikeJwt(token: string): boolean {
  return /^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token);
}

/** Verifies tokens of one issuer by its published keys, which are fetched on first use and cached. */
export function createIdentityProvider(
  { issuer, audience }: IdentityProviderOptions,
  { clock, log }: Pick<Services, 'clock' | 'log'>,
): IdentityProvider {
  const getKey = publishedKeys(issuer, log);
  return {
    async verify(token) {
      // Checked before the signature, so that tokens of other issuers cause no fetch of keys.
      if (readIssuer(token) !== issuer) return null;
      try {
        const { payload } = await jwtVerify(token, getKey, {
          issuer,
          audience,
          algorithms,
          requiredClaims: ['sub', 'exp'],
          clockTolerance: clockToleranceSeconds,
          currentDate: clock(),
        });
        const { sub } = payload;
        if (!isSubject(sub)) return null;
        return readExternalIdentity(issuer, sub, payload);
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
        log.info({ reason: error.code }, 'A token of the identity provider was refused.');
        return null;
      }
    },
  };
}

/** jose checks that the claim exists, and not its type. */
function isSubject(sub: unknown): sub is string {
  return typeof sub === 'string' && sub !== '' && sub.length <= subjectLengthMax && !/\p{Cc}/u.test(sub);
}

function readIssuer(token: string): string | null {
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}

/** The published keys. An unknown key may be new, so they are fetched again, but not at every request. */
function publishedKeys(issuer: string, log: Services['log']): JWTVerifyGetKey {
  let keys: Promise<JWTVerifyGetKey> | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;

  const fail = (error: unknown): never => {
    failedAt = performance.now();
    log.error({ err: error, issuer }, 'The keys of the identity provider cannot be fetched.');
    throw new UnavailableError('The identity provider cannot be reached. Try again in a moment.');
  };

  return async (header, token) => {
    if (performance.now() - failedAt < retryAfterMs) {
      throw new UnavailableError('The identity provider cannot be reached. Try again in a moment.');
    }
    keys ??= discover(issuer).then((uri) =>
      createRemoteJWKSet(uri, {
        timeoutDuration: fetchTimeoutMs,
        cacheMaxAge: keysAgeMaxMs,
        cooldownDuration: keysCooldownMs,
      }),
    );
    const getKey = await keys.catch((error: unknown) => {
      keys = null;
      return fail(error);
    });
    try {
      return await getKey(header, token);
    } catch (error) {
      return isAboutTheToken(error) ? Promise.reject(error) : fail(error);
    }
  };
}

/** Whether the keys were fetched, but none of them fits the token. */
function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}

/** OpenID Connect Discovery 1.0, 4. The document must name the same issuer (4.3). */
async function discover(issuer: string): Promise<URL> {
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(fetchTimeoutMs),
    redirect: 'error',
    headers: { accept: 'application/json' },
  });
  if (!response.ok) throw new Error(`The discovery document answers ${response.status}.`);
  const text = await response.text();
  if (text.length > discoveryLengthMax) throw new Error('The discovery document is too long.');
  const document = discoverySchema.parse(JSON.parse(text));
  if (document.issuer !== issuer) throw new Error('The discovery document names another issuer.');
  const uri = new URL(document.jwks_uri);
  if (uri.protocol !== 'https:' && new URL(issuer).protocol === 'https:') {
    throw new Error('The discovery document of an https issuer names keys that are not on https.');
  }
  return uri;
}
