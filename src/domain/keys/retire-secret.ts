import { transaction } from '../../db/transaction.js';
import { ConflictError, NotFoundError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import type { Actor } from '../access/principal.js';
import { visibleApiKeys } from '../access/visibility.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { getManagedKey } from './management.js';

export interface RetireSecret {
  readonly secretId: string;
}

const field = 'input.secretId';

/**
 * Ends an old secret of a key before its overlap is over. Ending it twice is not an error: the first time stands.
 * @throws NotFoundError, ForbiddenError, ConflictError for the newest secret: without it the key would be as good as revoked
 */
export async function retireSecret(deps: Deps, actor: Actor, input: RetireSecret): Promise<{ apiKey: ApiKey }> {
  return transaction(deps.db, async (tx) => {
    const seen = await tx.keySecret.findFirst({
      where: { id: input.secretId, apiKey: visibleApiKeys(actor.principal) },
      select: { apiKeyId: true },
    });
    if (seen === null) throw new NotFoundError(field, 'Secret not found.');
    const { key } = await getManagedKey(tx, deps, actor, seen.apiKeyId, 'apiKey:rotate', field);
    // Read under the lock: a rotation in between gives the newest one an end.
    const { id, preview, retiresAt } = await tx.keySecret.findUniqueOrThrow({ where: { id: input.secretId } });
    if (retiresAt === null) {
      throw new ConflictError('This is the newest secret of the key. Rotate the key first, or revoke it.');
    }
    const now = deps.clock();
    const { count } = await tx.keySecret.updateMany({
      where: { id, retiresAt: { gt: now } },
      data: { retiresAt: now },
    });
    if (count > 0) {
      await recordAudit(tx, actor, {
        workspaceId: key.workspaceId,
        action: 'apiKey.secretRetired',
        subjectId: key.id,
        before: { secret: { id, preview, retiresAt: retiresAt.toISOString() } },
        after: { secret: { id, preview, retiresAt: now.toISOString() } },
      });
    }
    return { apiKey: key };
  });
}
