import { createRemoteJWKSet, decodeJwt, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { type ExternalIdentity, readExternalIdentity } from '../../domain/identity/external-users.js';
import { UnavailableError } from '../../errors.js';
import type { Services } from '../../graphql/services.js';

/** An outside identity provider, as the environment names it. */
export interface IdentityProviderOptions {
  /** Exactly what its tokens state as `iss`. */
  readonly issuer: string;
  /** What its tokens for this server state as `aud`. */
  readonly audience: string;
}

export interface IdentityProvider {
  /**
   * Whom a token names, or null for one that is not valid here.
   * @throws UnavailableError where the provider's keys cannot be had: then nobody knows.
   */
  verify(token: string): Promise<ExternalIdentity | null>;
}

/** A shared secret proves nothing about who signed, so only signatures with a key pair count. */
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
/** After a failure the provider is left alone for a moment, so that each of many requests does not wait for it anew. */
const retryAfterMs = 5_000;
const keysAgeMaxMs = 10 * 60_000;
const keysCooldownMs = 30_000;
const discoveryLengthMax = 100_000;
const subjectLengthMax = 255;
/** Clocks differ. */
const clockToleranceSeconds = 30;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

/** Whether a bearer token has the form of a JWT in compact form. */
export function looksLikeJwt(token: string): boolean {
  return /^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token);
}

/** Checks tokens of one issuer against its published keys, which are fetched when first needed, and kept. */
export function createIdentityProvider(
  { issuer, audience }: IdentityProviderOptions,
  { clock, log }: Pick<Services, 'clock' | 'log'>,
): IdentityProvider {
  const getKey = publishedKeys(issuer, log);
  return {
    async verify(token) {
      // Looked at before the signature, so that a token of somebody else makes nobody fetch keys.
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
        if (sub === undefined || sub === '' || sub.length > subjectLengthMax || /\p{Cc}/u.test(sub)) return null;
        return readExternalIdentity(issuer, sub, payload);
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
        log.info({ reason: error.code }, 'A token of the identity provider was refused.');
        return null;
      }
    },
  };
}

function readIssuer(token: string): string | null {
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}

/** The keys that the issuer publishes now. One that is not among them may be new: then they are fetched once more, but not at every request. */
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

/** The keys were there, and the token's was not among them or of no use. */
function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}

/** OpenID Connect Discovery 1.0, 4. The document must name the issuer it was asked for (4.3). */
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
