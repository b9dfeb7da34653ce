import type { ProductFile } from '../../src/products/product.js';
import { metered } from '../rate-limits/product.js';

/** Every action costs a credit a unit, rounded up. */
const prices = { call: { credits: 1, unit: 'unit', description: 'A call.' } };

function product(slug: string, rest: Partial<ProductFile>): ProductFile {
  const secrets = { LIVE: { ...metered.credential.secrets.LIVE, prefix: `${slug}_` } };
  return { ...metered, slug, prices, credential: { transport: 'bearer', secrets }, ...rest };
}

/** More than any test asks for, so that a refusal by this limit is a false one. */
const unreachable = [{ limit: 1_000_000, windowSeconds: 60 }];

/** The limits of the products `tight`, which is closed without Redis, and `scarce`, which is open. */
export const tightLimits = [
  { limit: 20, windowSeconds: 1 },
  { limit: 30, windowSeconds: 2 },
];
export const scarceLimit = { limit: 5, windowSeconds: 3_600 };

/** What the servers of these tests sell: no limits, limits that nobody reaches, and limits that are reached. */
export const productsOnSale: readonly ProductFile[] = [
  product('unlimited', {}),
  product('open', { rateLimits: unreachable, rateLimitFallback: 'open' }),
  product('closed', { rateLimits: unreachable, rateLimitFallback: 'closed' }),
  product('tight', { rateLimits: tightLimits, rateLimitFallback: 'closed' }),
  product('scarce', { rateLimits: [scarceLimit], rateLimitFallback: 'open' }),
];
