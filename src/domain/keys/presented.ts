import { findBearerProduct, findPairProduct, looksLikeBearer } from '../../products/find-product.js';
import type { Product, Products } from '../../products/product.js';
import { matchesFormat } from '../../products/secret-format.js';
import { hashSecretHex } from '../access/secret-hash.js';
import type { Credential } from './credential.js';

/** What can be said of a credential without looking it up, and which product's words answer it. */
export type Presented =
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

/** Sorts a credential by its form. What has no product's form is malformed, which spares the look-up. */
export function decidePresented(products: Products, credential: Credential): Presented {
  return credential.kind === 'bearer' ? decideBearer(products, credential.token) : decidePair(products, credential);
}

function decideBearer(products: Products, token: string): Presented {
  if (token === '') return { kind: 'missing', product: products.primary };
  const match = findBearerProduct(products, token);
  if (match !== null) return { kind: 'candidate', product: match.product, hash: hashSecretHex(token), keyId: null };
  return { kind: 'malformed', product: looksLikeBearer(products, token)?.product ?? products.primary };
}

function decidePair(products: Products, { keyId, secret }: Extract<Credential, { kind: 'pair' }>): Presented {
  const product = findPairProduct(products, keyId);
  const wordsOf = product ?? products.all.find(takesPairs) ?? products.primary;
  if (keyId === '' || secret === '') return { kind: 'missing', product: wordsOf };
  if (product === null || !hasSecretForm(product, secret)) return { kind: 'malformed', product: wordsOf };
  return { kind: 'candidate', product, hash: hashSecretHex(secret), keyId };
}

function takesPairs(product: Product): boolean {
  return product.credential.transport === 'headerPair';
}

function hasSecretForm({ credential: { secrets } }: Product, secret: string): boolean {
  return matchesFormat(secrets.LIVE, secret) || (secrets.TEST !== undefined && matchesFormat(secrets.TEST, secret));
}
