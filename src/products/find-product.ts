import type { Product, Products } from './product.js';
import { type Environment, matchesFormat, type SecretFormat, secretLength } from './secret-format.js';

/** The product and environment whose secret format a token matches. The key may still not exist. */
export interface BearerMatch {
  readonly product: Product;
  readonly environment: Environment;
}

interface BearerForm {
  readonly format: SecretFormat;
  readonly match: BearerMatch;
}

interface BearerForms {
  /** Sorted by length of the prefix, longest first. */
  readonly all: readonly BearerForm[];
  readonly byLength: ReadonlyMap<number, readonly BearerForm[]>;
}

const formsByProducts = new WeakMap<Products, BearerForms>();

/** The formats of all bearer secrets, computed once per set of products. */
function bearerForms(products: Products): BearerForms {
  const known = formsByProducts.get(products);
  if (known !== undefined) return known;
  const all: BearerForm[] = [];
  for (const product of products.all) {
    if (product.credential.transport !== 'bearer') continue;
    const { LIVE, TEST } = product.credential.secrets;
    all.push({ format: LIVE, match: { product, environment: 'LIVE' } });
    if (TEST !== undefined) all.push({ format: TEST, match: { product, environment: 'TEST' } });
  }
  all.sort((a, b) => b.format.prefix.length - a.format.prefix.length);
  const byLength = new Map<number, BearerForm[]>();
  for (const form of all) {
    const length = secretLength(form.format);
    byLength.set(length, [...(byLength.get(length) ?? []), form]);
  }
  const forms = { all, byLength };
  formsByProducts.set(products, forms);
  return forms;
}

/** Finds the product whose secret format a bearer token matches. Null: no product, so no query is needed. */
export function findBearerProduct(products: Products, token: string): BearerMatch | null {
  for (const { format, match } of bearerForms(products).byLength.get(token.length) ?? []) {
    if (matchesFormat(format, token)) return match;
  }
  return null;
}

/**
 * Finds the product whose prefix a bearer token has, even if the rest is malformed. A malformed key is thus
 * refused with the wording of its product. Null if no prefix matches; products without a prefix are never
 * returned.
 */
export function looksLikeBearer(products: Products, token: string): BearerMatch | null {
  for (const { format, match } of bearerForms(products).all) {
    if (format.prefix !== '' && token.startsWith(format.prefix)) return match;
  }
  return null;
}

/** Finds the product whose key id format the key id of a header pair matches, or null. */
export function findPairProduct(products: Products, keyId: string): Product | null {
  for (const product of products.all) {
    if (product.credential.transport === 'headerPair' && matchesFormat(product.credential.keyId, keyId)) return product;
  }
  return null;
}
