import type { Db, Tx } from '../../db/transaction.js';
import type { Target } from '../commands/define-command.js';
import { decodeResult } from '../commands/stored-result.js';

/** Maximum number of records to search: one idempotency key may occur in several workspaces. */
const recordsMax = 100;

/**
 * The target of a removal under an idempotency key. Only the idempotency record still refers to the removed
 * member.
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
