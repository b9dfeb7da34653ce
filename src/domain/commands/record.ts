import { type Db, isLockTimeout, type Tx } from '../../db/transaction.js';
import { KeyInUseError } from '../../errors.js';
import type { IdempotencyRecord } from '../../generated/prisma/client.js';

/** Where a record stands: a key counts once per workspace and space. */
export interface Slot {
  readonly keyHash: Uint8Array<ArrayBuffer>;
  readonly workspaceId: string;
  readonly space: string;
}

/** A call as it is recorded before its result is known. */
export interface Claim extends Slot {
  readonly operation: string;
  readonly fingerprint: Uint8Array<ArrayBuffer>;
  readonly product: string | null;
  readonly subject: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface RecordedResult {
  /** See {@link writeResult}. */
  readonly result: string;
  readonly secrets: Uint8Array<ArrayBuffer> | null;
}

/** What was done under a key, and still counts. */
export async function findRecord(db: Db | Tx, slot: Slot, now: Date): Promise<IdempotencyRecord | null> {
  const record = await db.idempotencyRecord.findUnique({ where: { keyHash_workspaceId_space: where(slot) } });
  return record === null || (record.expiresAt !== null && record.expiresAt <= now) ? null : record;
}

/**
 * Takes a key for the transaction's call. Where another transaction has it, this waits a moment for its end.
 * @returns null where the key is the caller's now, else what was done under it.
 * @throws KeyInUseError where the other one takes longer
 */
export async function claimKey(tx: Tx, claim: Claim): Promise<IdempotencyRecord | null> {
  const { keyHash, workspaceId, space, operation, fingerprint, product, subject, createdAt, expiresAt } = claim;
  try {
    const [record] = await tx.$queryRaw<IdempotencyRecord[]>`
      SELECT * FROM tollkeeper.claim_idempotency_key(
        ${keyHash}::bytea, ${workspaceId}, ${space}, ${operation}, ${fingerprint}::bytea, ${product}, ${subject},
        ${createdAt}::timestamptz, ${expiresAt}::timestamptz
      )`;
    return record ?? null;
  } catch (error) {
    throw isLockTimeout(error) ? new KeyInUseError() : error;
  }
}

/** Completes the record of a call, in its transaction. */
export async function storeResult(tx: Tx, slot: Slot, { result, secrets }: RecordedResult): Promise<void> {
  await tx.idempotencyRecord.update({
    where: { keyHash_workspaceId_space: where(slot) },
    data: { result, secrets },
    select: { workspaceId: true },
  });
}

/** Gives a key back whose call came to nothing. */
export async function freeKey(tx: Tx, slot: Slot): Promise<void> {
  await tx.idempotencyRecord.delete({
    where: { keyHash_workspaceId_space: where(slot) },
    select: { workspaceId: true },
  });
}

function where({ keyHash, workspaceId, space }: Slot): Slot {
  return { keyHash, workspaceId, space };
}

const recordsPerStatement = 1_000;
const statementsPerRun = 20;

/** Removes what was kept long enough, in bounded statements, on any number of processes at once. @returns how many. */
export async function forgetExpiredRecords({ db, clock }: { db: Db; clock: () => Date }): Promise<number> {
  const now = clock();
  let removed = 0;
  for (let statements = 0; statements < statementsPerRun; statements += 1) {
    const count = await db.$executeRaw`
      DELETE FROM "IdempotencyRecord" WHERE ("keyHash", "workspaceId", "space") IN (
        SELECT "keyHash", "workspaceId", "space" FROM "IdempotencyRecord" WHERE "expiresAt" <= ${now}::timestamptz
        ORDER BY "expiresAt" LIMIT ${recordsPerStatement} FOR UPDATE SKIP LOCKED
      )`;
    removed += count;
    if (count < recordsPerStatement) break;
  }
  return removed;
}
