import type { Tx } from '../db/transaction.js';

/** What an idempotency key names: an operation in a workspace, never a credential, which may have been rotated in between. */
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
    where: { workspaceId_operation_key: { workspaceId, operation, key } },
  });
  return record?.resultId ?? null;
}

/** Remembers what an operation made, in the transaction that made it. */
export async function recordResult(
  tx: Tx,
  { workspaceId, operation, key }: KeyedOperation,
  resultId: string,
  createdAt: Date,
) {
  if (key === null) return;
  await tx.idempotencyRecord.create({ data: { workspaceId, operation, key, resultId, createdAt } });
}
