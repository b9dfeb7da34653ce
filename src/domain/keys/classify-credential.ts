import { findBearerProduct, findPairProduct, looksLikeBearer } from '../../products/find-product.js';
import type { Product, Products } from '../../products/product.js';
import { matchesFormat } from '../../products/secret-format.js';
import { hashSecretHex } from '../access/secret-hash.js';
import type { Credential } from './credential.js';

/** A credential classified by its form, without a look-up, and the product whose wording applies. */
export type ClassifiedCredential =
  | { readonly kind: 'missing'; readonly product: Product }
  | { readonly kind: 'malformed'; readonly product: Product }
  | {
      readonly kind: 'candidate';
      readonly product: Product;
      /** SHA-256 of the secret, in hex. */
      readonly hash: string;
      /** The public half of a header pair; null for a bearer key. */
      readonly keyId: string | null;
    };

/**
 * Classifies a credential by its form. A credential without the form of any product is malformed, which
 * saves the look-up.
 */
export function classifyCredential(products: Products, credential: Credential): ClassifiedCredential {
  return credential.kind === 'bearer' ? classifyBearer(products, credential.token) : classifyPair(products, credential);
}

function classifyBearer(products: Products, token: string): ClassifiedCredential {
  if (token === '') return { kind: 'missing', product: products.primary };
  const match = findBearerProduct(products, token);
  if (match !== null) return { kind: 'candidate', product: match.product, hash: hashSecretHex(token), keyId: null };
  return { kind: 'malformed', product: looksLikeBearer(products, token)?.product ?? products.primary };
}

function classifyPair(
  products: Products,
  { keyId, secret }: Extract<Credential, { kind: 'pair' }>,
): ClassifiedCredential {
  const product = findPairProduct(products, keyId);
  const wordingProduct = product ?? products.all.find(usesHeaderPair) ?? products.primary;
  if (keyId === '' || secret === '') return { kind: 'missing', product: wordingProduct };
  if (product === null || !hasSecretForm(product, secret)) return { kind: 'malformed', product: wordingProduct };
  return { kind: 'candidate', product, hash: hashSecretHex(secret), keyId };
}

function usesHeaderPair(product: Product): boolean {
  return product.credential.transport === 'headerPair';
}

function hasSecretForm({ credential: { secrets } }: Product, secret: string): boolean {
  return matchesFormat(secrets.LIVE, secret) || (secrets.TEST !== undefined && matchesFormat(secrets.TEST, secret));
}
