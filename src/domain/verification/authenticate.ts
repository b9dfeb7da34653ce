import type { Product, Wording } from '../../products/product.js';
import type { ApiKeyPrincipal } from '../access/principal.js';
import type { Deps } from '../deps.js';
import type { Credential } from '../keys/credential.js';
import type { KeyRecord } from '../keys/key-record.js';
import { decidePresented, type Presented } from '../keys/presented.js';
import { decideRefusal, type Facts } from './checks.js';

export type Authentication =
  | { readonly kind: 'authenticated'; readonly principal: ApiKeyPrincipal; readonly product: Product }
  | { readonly kind: 'refused'; readonly product: Product; readonly wording: Wording };

/** Lets an API key in that calls this server itself, from an origin where a browser sends it. Its rate limits are the caller's to take. */
export async function authenticateApiKey(
  deps: Deps,
  credential: Credential,
  origin: string | null,
): Promise<Authentication> {
  const facts = await gatherFacts(deps, decidePresented(deps.products, credential), { ...noQuestion, origin });
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

/** What the checks look at, as it stands now. */
export async function gatherFacts(deps: FactDeps, presented: Presented, asked: Asked): Promise<Facts> {
  return factsOf(deps, presented, presented.kind === 'candidate' ? await deps.keys.load(presented) : null, asked);
}

/** The same as it was when the key was read last, for those who have it confirmed; null where it is not kept. */
export function recallFacts(deps: FactDeps, presented: Presented, asked: Asked): Facts | null {
  const key = presented.kind === 'candidate' ? deps.keys.getCached(presented) : null;
  return key && factsOf(deps, presented, key, asked);
}

type FactDeps = Pick<Deps, 'products' | 'clock' | 'keys'>;

function factsOf(
  { products, clock }: Pick<Deps, 'products' | 'clock'>,
  presented: Presented,
  key: KeyRecord | null,
  { expectedProduct, expectedEnvironment, requires, origin }: Asked,
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
