import { findBearerProduct, findPairProduct, looksLikeBearer } from '../../products/find-product.js';
import type { Product, Products } from '../../products/product.js';
import { matchesFormat } from '../../products/secret-format.js';
import { hashSecretHex } from '../access/secret-hash.js';
import type { Credential } from './credential.js';

/** What a key is looked up by. */
export interface LookUp {
  /** SHA-256 of the secret, in hex. */
  readonly hash: string;
  /** The public half of a header pair; null for a bearer key. */
  readonly keyId: string | null;
}

/**
 * A credential classified by its form, and the product whose wording applies. A malformed one is looked up
 * like a candidate, and refused whatever is found, so that it takes as long.
 */
export type ClassifiedCredential =
  | { readonly kind: 'missing'; readonly product: Product }
  | ({ readonly kind: 'malformed' | 'candidate'; readonly product: Product } & LookUp);

/** Classifies a credential by its form. A credential without the form of any product is malformed. */
export function classifyCredential(products: Products, credential: Credential): ClassifiedCredential {
  return credential.kind === 'bearer' ? classifyBearer(products, credential.token) : classifyPair(products, credential);
}

function classifyBearer(products: Products, token: string): ClassifiedCredential {
  if (token === '') return { kind: 'missing', product: products.primary };
  const lookUp = { hash: hashSecretHex(token), keyId: null };
  const match = findBearerProduct(products, token);
  if (match !== null) return { kind: 'candidate', product: match.product, ...lookUp };
  return { kind: 'malformed', product: looksLikeBearer(products, token)?.product ?? products.primary, ...lookUp };
}

function classifyPair(
  products: Products,
  { keyId, secret }: Extract<Credential, { kind: 'pair' }>,
): ClassifiedCredential {
  const product = findPairProduct(products, keyId);
  const wordingProduct = product ?? products.all.find(usesHeaderPair) ?? products.primary;
  if (keyId === '' || secret === '') return { kind: 'missing', product: wordingProduct };
  const lookUp = { hash: hashSecretHex(secret), keyId };
  return product === null || !hasSecretForm(product, secret)
    ? { kind: 'malformed', product: wordingProduct, ...lookUp }
    : { kind: 'candidate', product, ...lookUp };
}

function usesHeaderPair(product: Product): boolean {
  return product.credential.transport === 'headerPair';
}

function hasSecretForm({ credential: { secrets } }: Product, secret: string): boolean {
  return matchesFormat(secrets.LIVE, secret) || (secrets.TEST !== undefined && matchesFormat(secrets.TEST, secret));
}
