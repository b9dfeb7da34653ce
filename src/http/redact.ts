import type { Product } from '../products/product.js';

/** Masks secrets in the text of a log line or of an error message. */
export type Redact = (text: string) => string;

/** Replaces a secret. */
export const mask = '[redacted]';

/** Prefixes of this server: service tokens, and secrets that sign webhooks. */
const ownPrefixes = ['tks_', 'whsec_'];

/** The value of an Authorization header. */
const bearerPattern = /\bBearer\s+[^\s"',]+/gi;
/** Longer than any id, which has 36 characters. Most secrets and each part of a JWT are longer. */
const longRunPattern = /[A-Za-z0-9_-]{37,}/g;
/** The form of a session token, which few names have: 32 letters and digits with at least one digit. */
const sessionPattern = /(?<![A-Za-z0-9_-])(?=[A-Za-z]*\d)[A-Za-z0-9]{32,}(?![A-Za-z0-9_-])/g;

/**
 * Recognises the secrets of products by their prefixes, all others by their length. A second line of
 * defence: messages should not contain secrets in the first place.
 */
export function createRedact(products: readonly Product[] = []): Redact {
  const prefixes = [...ownPrefixes, ...products.flatMap(secretPrefixes)].filter((prefix) => prefix !== '');
  // With %, as secrets have it in a URL.
  const prefixed = new RegExp(`(?<![A-Za-z0-9])(?:${prefixes.join('|')})[A-Za-z0-9+/=_%-]{8,}`, 'g');
  return (text) =>
    text
      .replace(bearerPattern, `Bearer ${mask}`)
      .replace(prefixed, mask)
      .replace(longRunPattern, mask)
      .replace(sessionPattern, mask);
}

function secretPrefixes({ credential: { secrets } }: Product): string[] {
  return [secrets.LIVE.prefix, ...(secrets.TEST === undefined ? [] : [secrets.TEST.prefix])];
}
