import type { Product } from '../products/product.js';

/** Takes what may be a secret out of a text that somebody will read: a log line, or the message of an error. */
export type Redact = (text: string) => string;

/** What stands where a secret stood. */
export const mask = '[redacted]';

/** Ours, whatever the products: service tokens and the secrets that sign webhooks. */
const ownPrefixes = ['tks_', 'whsec_'];

/** A bearer header, quoted whole. */
const bearerPattern = /\bBearer\s+[^\s"',]+/gi;
/** Longer than any id, which has 36 characters; most secrets are, and each part of a JWT. */
const longRunPattern = /[A-Za-z0-9_-]{37,}/g;
/** What a session's token looks like, and hardly a name: 32 letters and digits with at least one digit, on their own. */
const sessionPattern = /(?<![A-Za-z0-9_-])(?=[A-Za-z]*\d)[A-Za-z0-9]{32,}(?![A-Za-z0-9_-])/g;

/**
 * Knows secrets by their form: those of the products by their prefixes, all others by their length.
 * A second line of defence behind not putting secrets into texts at all.
 */
export function createRedact(products: readonly Product[] = []): Redact {
  const prefixes = [...ownPrefixes, ...products.flatMap(secretPrefixes)].filter((prefix) => prefix !== '');
  // With the % of a secret that was put into an address.
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
