import type { ProductFile } from '../../src/products/product.js';
import { metered } from '../rate-limits/product.js';

/** Every action costs one credit per unit, rounded up. */
const prices = { call: { credits: 1, unit: 'unit', description: 'A call.' } };

function product(slug: string, rest: Partial<ProductFile>): ProductFile {
  const secrets = { LIVE: { ...metered.credential.secrets.LIVE, prefix: `${slug}_` } };
  return { ...metered, slug, prices, credential: { transport: 'bearer', secrets }, ...rest };
}

/** Higher than any test reaches, so that a refusal by this limit is an error. */
const unreachable = [{ limit: 1_000_000, windowSeconds: 60 }];

/** The limits of the products `tight`, with rateLimitFallback closed, and `scarce`, with open. */
export const tightLimits = [
  { limit: 20, windowSeconds: 1 },
  { limit: 30, windowSeconds: 2 },
];
export const scarceLimit = { limit: 5, windowSeconds: 3_600 };

/**
 * The products of these tests: without limits, with limits that are never reached, and with limits that are
 * reached.
 */
export const productsOnSale: readonly ProductFile[] = [
  product('unlimited', {}),
  product('open', { rateLimits: unreachable, rateLimitFallback: 'open' }),
  product('closed', { rateLimits: unreachable, rateLimitFallback: 'closed' }),
  product('tight', { rateLimits: tightLimits, rateLimitFallback: 'closed' }),
  product('scarce', { rateLimits: [scarceLimit], rateLimitFallback: 'open' }),
];
