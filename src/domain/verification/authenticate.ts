import type { Product, Wording } from '../../products/product.js';
import type { Deps } from '../deps.js';
import type { ApiKeyPrincipal } from '../principal.js';
import { decideRefusal, type Facts } from './checks.js';
import type { Credential } from './credential.js';
import { decidePresented } from './presented.js';

export type Authentication =
  | { readonly kind: 'authenticated'; readonly principal: ApiKeyPrincipal; readonly product: Product }
  | { readonly kind: 'refused'; readonly product: Product; readonly wording: Wording };

/** Lets an API key in that calls this server itself, from an origin where a browser sends it. Its rate limits are the caller's to take. */
export async function authenticateApiKey(
  deps: Deps,
  credential: Credential,
  origin: string | null,
): Promise<Authentication> {
  const facts = await gatherFacts(deps, credential, { ...noQuestion, origin });
  const { key, product } = facts;
  const code = decideRefusal(facts);
  if (code !== null || key === null) {
    return { kind: 'refused', product, wording: product.wording[code ?? 'INVALID_CREDENTIAL'] };
  }
  deps.uses.note(key, facts.now);
  const principal: ApiKeyPrincipal = {
    kind: 'apiKey',
    apiKeyId: key.id,
    workspaceId: key.workspaceId,
    product: product.slug,
    permissions: new Set(product.keyPermissions),
  };
  return { kind: 'authenticated', principal, product };
}

/** A question about a credential alone. */
export const noQuestion = {
  expectedProduct: null,
  expectedEnvironment: null,
  requires: [],
  origin: null,
} as const satisfies Asked;

/** Of a question, what the checks look at. */
type Asked = Pick<Facts, 'expectedProduct' | 'expectedEnvironment' | 'requires' | 'origin'>;

/** What the checks look at. */
export async function gatherFacts(
  { products, clock, findKeyRecord }: Pick<Deps, 'products' | 'clock' | 'findKeyRecord'>,
  credential: Credential,
  { expectedProduct, expectedEnvironment, requires, origin }: Asked,
): Promise<Facts> {
  const presented = decidePresented(products, credential);
  const key = presented.kind === 'candidate' ? await findKeyRecord(presented) : null;
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
