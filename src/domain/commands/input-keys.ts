import type { Tx } from '../../db/transaction.js';
import { hashKey } from './idempotency.js';
import { decodeResult, encodeResult } from './stored-result.js';

/**
 * An idempotency key within an input, such as the id of a payment. It belongs to an operation in a
 * workspace, never to a credential, which may be rotated between two attempts. It never expires, and is
 * separate from the keys of whole requests.
 */
export interface InputKey {
  readonly workspaceId: string;
  readonly operation: string;
  /** Null: the input has no key, and nothing is stored. */
  readonly key: string | null;
}

/**
 * The id of the record that an operation created under its key; null: none. Call it under the same lock as
 * {@link storeInputKey}.
 */
export async function findByInputKey(tx: Tx, { workspaceId, operation, key }: InputKey): Promise<string | null> {
  if (key === null) return null;
  const record = await tx.idempotencyRecord.findUnique({
    where: { keyHash_workspaceId_space: { keyHash: hashKey(key), workspaceId, space: operation } },
    select: { result: true },
  });
  return record?.result == null ? null : String(decodeResult(record.result));
}

/** Stores the id of the record that an operation created, in the same transaction. */
export async function storeInputKey(
  tx: Tx,
  { workspaceId, operation, key }: InputKey,
  createdId: string,
  createdAt: Date,
): Promise<void> {
  if (key === null) return;
  await tx.idempotencyRecord.create({
    data: {
      keyHash: hashKey(key),
      workspaceId,
      space: operation,
      operation,
      result: encodeResult(createdId),
      createdAt,
    },
  });
}
