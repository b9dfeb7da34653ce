import type { Product, Wording } from '../../products/product.js';
import type { ApiKeyPrincipal } from '../access/principal.js';
import { classifyCredential } from '../keys/classify-credential.js';
import type { Credential } from '../keys/credential.js';
import type { UseRecorder } from '../usage/use-recorder.js';
import { decideRefusal } from './checks.js';
import { type FactSources, loadFacts } from './facts.js';
import { plainRequest } from './request.js';

export type Authentication =
  | { readonly kind: 'authenticated'; readonly principal: ApiKeyPrincipal; readonly product: Product }
  | { readonly kind: 'refused'; readonly product: Product; readonly wording: Wording };

/**
 * Authenticates an API key that calls this server itself. The caller takes its rate limits.
 * @throws UnavailableError
 */
export async function authenticateApiKey(
  services: FactSources & { readonly uses: Pick<UseRecorder, 'note'> },
  credential: Credential,
  origin: string | null,
): Promise<Authentication> {
  const facts = await loadFacts(services, classifyCredential(services.products, credential), {
    ...plainRequest,
    origin,
  });
  const { key, product } = facts;
  const code = decideRefusal(facts);
  if (code !== null || key === null) {
    return { kind: 'refused', product, wording: product.wording[code ?? 'INVALID_CREDENTIAL'] };
  }
  services.uses.note(key, facts.now);
  const principal: ApiKeyPrincipal = {
    kind: 'apiKey',
    apiKeyId: key.id,
    workspaceId: key.workspaceId,
    product: product.slug,
    permissions: new Set(product.keyPermissions),
  };
  return { kind: 'authenticated', principal, product };
}
