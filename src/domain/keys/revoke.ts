import { transaction } from '../../db/transaction.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import { parseReason } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { publishKeyEvent } from './key-events.js';
import { getManagedKey } from './management.js';

export interface RevokeApiKey {
  readonly apiKeyId: string;
  readonly reason?: string | null | undefined;
}

/** Ends a key. Ending it twice is not an error: the first time stands. @throws ValidationError, NotFoundError, ForbiddenError */
export async function revokeApiKey(deps: Deps, actor: Actor, input: RevokeApiKey): Promise<{ apiKey: ApiKey }> {
  const reason = parseReason('input.reason', input.reason);
  return transaction(deps.db, async (tx) => {
    const { key } = await getManagedKey(tx, deps, actor, input.apiKeyId, 'apiKey:revoke');
    const revokedAt = deps.clock();
    const { count } = await tx.apiKey.updateMany({
      where: { id: key.id, revokedAt: null },
      data: { revokedAt, revocationReason: reason },
    });
    if (count > 0) {
      await publishKeyEvent(tx, 'api_key.revoked', { ...key, revokedAt }, revokedAt, { reason });
      await recordAudit(tx, actor, {
        workspaceId: key.workspaceId,
        action: 'apiKey.revoked',
        subjectId: key.id,
        before: { revokedAt: null, reason: null },
        after: { revokedAt: revokedAt.toISOString(), reason },
      });
    }
    return { apiKey: await tx.apiKey.findUniqueOrThrow({ where: { id: key.id } }) };
  });
}

/** Ends a key and takes it out of every list. Its ledger entries stay. @throws NotFoundError, ForbiddenError */
export async function deleteApiKey(
  deps: Deps,
  actor: Actor,
  input: { readonly apiKeyId: string },
): Promise<{ deletedApiKeyId: string }> {
  return transaction(deps.db, async (tx) => {
    const { key } = await getManagedKey(tx, deps, actor, input.apiKeyId, 'apiKey:delete');
    const now = deps.clock();
    const revokedAt = key.revokedAt ?? now;
    await tx.apiKey.update({ where: { id: key.id }, data: { deletedAt: now, revokedAt } });
    if (key.revokedAt === null)
      await publishKeyEvent(tx, 'api_key.revoked', { ...key, revokedAt }, now, { reason: null });
    await recordAudit(tx, actor, {
      workspaceId: key.workspaceId,
      action: 'apiKey.deleted',
      subjectId: key.id,
      before: { name: key.name, revokedAt: key.revokedAt?.toISOString() ?? null, deletedAt: null },
      after: { name: key.name, revokedAt: revokedAt.toISOString(), deletedAt: now.toISOString() },
    });
    return { deletedApiKeyId: key.id };
  });
}
