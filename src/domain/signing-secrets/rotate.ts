import { transaction } from '../../db/transaction.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import { getManagedKey } from '../api-keys/management.js';
import { decideStatus } from '../api-keys/status.js';
import { recordAudit } from '../audit.js';
import type { Deps } from '../deps.js';
import { ConflictError } from '../errors.js';
import type { Actor } from '../principal.js';
import { createSigningSecret } from './create.js';

/**
 * Replaces the signing secret of a key. The old one signs nothing from now on; the key itself stays as it is.
 * @throws NotFoundError, ForbiddenError, ConflictError for a revoked key or a product without signing secrets
 */
export async function rotateSigningSecret(
  deps: Deps,
  actor: Actor,
  input: { readonly apiKeyId: string },
): Promise<{ apiKey: ApiKey; signingSecret: string; signingSecretRotatedAt: Date }> {
  return transaction(deps.db, async (tx) => {
    const { key, product } = await getManagedKey(tx, deps, actor, input.apiKeyId, 'signingSecret:rotate');
    const rotatedAt = deps.clock();
    if (!product.signingSecrets) throw new ConflictError(`Keys of ${product.slug} have no signing secret.`);
    if (decideStatus(key, rotatedAt) === 'REVOKED') throw new ConflictError('The key is revoked.');
    await tx.signingSecret.updateMany({ where: { apiKeyId: key.id, retiresAt: null }, data: { retiresAt: rotatedAt } });
    const signingSecret = await createSigningSecret(tx, { ...deps, clock: () => rotatedAt }, key);
    await recordAudit(tx, actor, {
      workspaceId: key.workspaceId,
      action: 'signingSecret.rotated',
      subjectId: key.id,
    });
    return { apiKey: key, signingSecret, signingSecretRotatedAt: rotatedAt };
  });
}
