import { type Tx, transaction } from '../../db/transaction.js';
import type { ApiKey, LedgerEntry } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import { getAccess } from '../access.js';
import { recordAudit } from '../audit.js';
import type { Deps } from '../deps.js';
import { ValidationError } from '../errors.js';
import { findRecordedResult, recordResult } from '../idempotency.js';
import { creditsMax, parseCredits, parseIdempotencyKey, parseReason } from '../input.js';
import type { Actor } from '../principal.js';
import { lockAccount, post } from './ledger.js';

export interface GrantCredits {
  readonly workspaceId: string;
  readonly credits: number;
  readonly reason?: string | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/**
 * Adds credits to a workspace. With an idempotency key it happens once; a repetition returns the original entry, whatever else it says.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export async function grantCredits(
  deps: Deps,
  actor: Actor,
  input: GrantCredits,
): Promise<{ entry: LedgerEntry; workspaceId: string; replayed: boolean }> {
  const credits = parseCredits('input.credits', input.credits);
  const reason = parseReason('input.reason', input.reason);
  const idempotencyKey = parseIdempotencyKey('input.idempotencyKey', input.idempotencyKey);
  return transaction(deps.db, async (tx) => {
    const { workspaceId } = await getAccess(tx, actor.principal, input.workspaceId, 'credits:grant');
    await lockAccount(tx, workspaceId);
    const operation = { workspaceId, operation: 'grantCredits', key: idempotencyKey };
    const originalId = await findRecordedResult(tx, operation);
    if (originalId !== null) {
      const entry = await tx.ledgerEntry.findUniqueOrThrow({ where: { id: originalId } });
      return { entry, workspaceId, replayed: true };
    }
    const createdAt = deps.clock();
    const entry = await post(tx, { workspaceId, kind: 'GRANT', credits, reason, createdAt });
    if (entry === null) {
      throw new ValidationError('input.credits', `A balance cannot exceed ${creditsMax} credits.`);
    }
    await recordResult(tx, operation, entry.id, createdAt);
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'credits.granted',
      subjectId: entry.id,
      after: { credits, reason },
    });
    return { entry, workspaceId, replayed: false };
  });
}

/** Grants a product's free credits with a workspace's first key of it. The primary key decides which is the first. @returns the credits granted now. */
export async function grantFreeCredits(tx: Tx, product: Product, key: ApiKey, now: Date): Promise<number> {
  const { workspaceId } = key;
  const { slug, freeCredits } = product;
  if (freeCredits === 0) return 0;
  const { count } = await tx.freeCreditGrant.createMany({
    data: [{ workspaceId, product: slug, credits: freeCredits, createdAt: now }],
    skipDuplicates: true,
  });
  if (count === 0) return 0;
  const entry = await post(tx, {
    workspaceId,
    kind: 'GRANT',
    credits: freeCredits,
    apiKeyId: key.id,
    product: slug,
    reason: 'Free credits with the first key',
    createdAt: now,
  });
  return entry === null ? 0 : freeCredits;
}
