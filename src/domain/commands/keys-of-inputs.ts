import type { Tx } from '../../db/transaction.js';
import { hashKey } from './keyed-call.js';
import { readResult, writeResult } from './result-text.js';

/**
 * What an idempotency key of an input names, such as the id of a payment: an operation in a workspace, never a credential, which may
 * have been rotated in between. It counts for good, and apart from the keys of whole requests.
 */
export interface KeyedOperation {
  readonly workspaceId: string;
  readonly operation: string;
  /** null: the caller gave none, and nothing is remembered. */
  readonly key: string | null;
}

/** The id of what an operation made when it first ran under its key. Read it under a lock that {@link recordResult}'s caller holds too. */
export async function findRecordedResult(
  tx: Tx,
  { workspaceId, operation, key }: KeyedOperation,
): Promise<string | null> {
  if (key === null) return null;
  const record = await tx.idempotencyRecord.findUnique({
    where: { keyHash_workspaceId_space: { keyHash: hashKey(key), workspaceId, space: operation } },
    select: { result: true },
  });
  return record?.result == null ? null : String(readResult(record.result));
}

/** Remembers what an operation made, in the transaction that made it. */
export async function recordResult(
  tx: Tx,
  { workspaceId, operation, key }: KeyedOperation,
  resultId: string,
  createdAt: Date,
) {
  if (key === null) return;
  await tx.idempotencyRecord.create({
    data: {
      keyHash: hashKey(key),
      workspaceId,
      space: operation,
      operation,
      result: writeResult(resultId),
      createdAt,
    },
  });
}
