import type { Clock } from '../../clock.js';
import type { Products } from '../../products/product.js';
import type { ClassifiedCredential } from '../keys/classify-credential.js';
import type { KeyCache } from '../keys/key-cache.js';
import type { KeyRecord } from '../keys/key-record.js';
import type { Facts } from './checks.js';
import type { VerificationRequest } from './request.js';

export interface FactSources {
  readonly products: Products;
  readonly clock: Clock;
  readonly keys: Pick<KeyCache, 'load' | 'getCached'>;
}

/** The input of the checks: the request, and the key in its current state. @throws UnavailableError */
export async function loadFacts(
  sources: FactSources,
  presented: ClassifiedCredential,
  request: VerificationRequest,
): Promise<Facts> {
  const found = presented.kind === 'missing' ? null : await sources.keys.load(presented);
  const key = presented.kind === 'malformed' ? null : found;
  return describeFacts(sources, presented, key, request);
}

/** The input of the checks with the cached key, which may be stale; null: the key is not cached. */
export function getCachedFacts(
  sources: FactSources,
  presented: ClassifiedCredential,
  request: VerificationRequest,
): Facts | null {
  const key = presented.kind === 'candidate' ? sources.keys.getCached(presented) : null;
  return key && describeFacts(sources, presented, key, request);
}

function describeFacts(
  { products, clock }: FactSources,
  presented: ClassifiedCredential,
  key: KeyRecord | null,
  { expectedProduct, expectedEnvironment, requires, origin }: VerificationRequest,
): Facts {
  return {
    presented,
    key,
    product: (key && products.find(key.product)) ?? presented.product,
    expectedProduct,
    expectedEnvironment,
    requires,
    origin,
    now: clock(),
  };
}
