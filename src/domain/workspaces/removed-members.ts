import type { Db, Tx } from '../../db/transaction.js';
import type { Target } from '../commands/define-command.js';
import { decodeResult } from '../commands/stored-result.js';

/** An upper bound of the workspaces in which one client uses the same idempotency key. */
const recordsMax = 100;

/**
 * Where a member was removed under an idempotency key. The record of the removal is all that is left of a
 * removed member.
 */
export async function findRemovedMember(
  db: Db | Tx,
  memberId: string,
  keyHash: Uint8Array<ArrayBuffer>,
): Promise<Target | null> {
  const removals = await db.idempotencyRecord.findMany({
    where: { keyHash, operation: 'removeMember' },
    select: { workspaceId: true, product: true, subject: true, result: true },
    take: recordsMax,
  });
  const removal = removals.find(({ result }) => removedMemberIdOf(result) === memberId);
  if (removal === undefined) return null;
  const { workspaceId, product, subject } = removal;
  return { workspaceId, product, subject, recordId: memberId };
}

function removedMemberIdOf(text: string | null): unknown {
  const result = text === null ? null : decodeResult(text);
  return typeof result === 'object' && result !== null && 'removedMemberId' in result ? result.removedMemberId : null;
}
