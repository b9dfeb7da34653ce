import { createHash, createHmac } from 'node:crypto';
import { Mutex, type MutexInterface, withTimeout } from 'async-mutex';
import { type Db, isLockTimeout, type Tx } from '../../db/transaction.js';
import { KeyInUseError, KeyReusedError } from '../../errors.js';
import type { IdempotencyRecord } from '../../generated/prisma/client.js';
import type { Product, Products } from '../../products/product.js';
import type { StoredResult } from './stored-result.js';

/** A request that carries an idempotency key. */
export interface IdempotentRequest {
  /** 1 to 255 printable ASCII characters. */
  readonly key: string;
  /**
   * Whether the client selects a field of the payload. A secret that is not selected need not be available.
   */
  isSelected(field: string): boolean;
  /** Called for a replay. `inputDiffers`: the input differs from the original. */
  onReplay(inputDiffers: boolean): void;
}

/** The primary key of a record: an idempotency key is unique per workspace and space. */
export interface RecordId {
  readonly keyHash: Uint8Array<ArrayBuffer>;
  readonly workspaceId: string;
  readonly space: string;
}

/** A claim of an idempotency key: the record as it is written before the result is known. */
export interface Claim extends RecordId {
  readonly operation: string;
  readonly fingerprint: Uint8Array<ArrayBuffer>;
  readonly product: string | null;
  readonly subject: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** One call with an idempotency key. */
export interface IdempotentCall<Result, Granted> {
  readonly request: IdempotentRequest;
  readonly claim: Claim;
  /**
   * Whether the caller may see the original result, which may concern another record of the same workspace.
   */
  mayReplay(original: IdempotencyRecord): Promise<boolean>;
  /** @throws if the caller may not make this call; its key is then not claimed */
  authorize(): Promise<Granted>;
  run(granted: Granted): Promise<Result>;
  /**
   * Whether a result is stored. A refusal is not stored, so that a retry can succeed after its cause is
   * removed.
   */
  isFinal(result: Result): boolean;
  store(result: Result): StoredResult;
  restore(stored: StoredResult): Result;
}

/**
 * Runs a call once per key, in the given transaction: its record and its effects are committed together or
 * not at all. A later call with the same key gets the original result, if its caller may see it; a
 * concurrent call waits for it.
 * @throws KeyInUseError if the first call takes longer than two seconds, KeyReusedError for a key that was
 * used for another request, and what `authorize`, `run` and `restore` throw
 */
export async function runIdempotent<Result, Granted>(
  tx: Tx,
  products: Products,
  call: IdempotentCall<Result, Granted>,
): Promise<Result> {
  const { claim } = call;
  // A replay is authorized for the original target, which may differ from the target of this input.
  const earlier = await findRecord(tx, claim);
  if (earlier !== null && (await isReplay(call, earlier))) return replay(products, call, earlier);
  const granted = await call.authorize();
  const original = await claimKey(tx, claim);
  if (original === null) {
    const result = await call.run(granted);
    await (call.isFinal(result) ? storeResult(tx, claim, call.store(result)) : releaseKey(tx, claim));
    return result;
  }
  if (await isReplay(call, original)) return replay(products, call, original);
  const use = original.operation === claim.operation ? 'another request' : original.operation;
  throw new KeyReusedError(`This Idempotency-Key was used for ${use}. Use a new key for each request.`);
}

async function findRecord(tx: Tx, claim: Claim): Promise<IdempotencyRecord | null> {
  const record = await tx.idempotencyRecord.findUnique(whereRecord(claim));
  return record === null || (record.expiresAt !== null && record.expiresAt <= claim.createdAt) ? null : record;
}

async function isReplay<Result, Granted>(
  call: IdempotentCall<Result, Granted>,
  original: IdempotencyRecord,
): Promise<boolean> {
  return original.operation === call.claim.operation && (await call.mayReplay(original));
}

function replay<Result, Granted>(
  products: Products,
  { claim, request, restore }: IdempotentCall<Result, Granted>,
  original: IdempotencyRecord,
): Result {
  const inputDiffers = !Buffer.from(claim.fingerprint).equals(original.fingerprint ?? new Uint8Array());
  if (inputDiffers && rulesOf(products, original.product).strict) {
    throw new KeyReusedError(
      'This Idempotency-Key was used with another input. Send the same input, or use a new key.',
    );
  }
  request.onReplay(inputDiffers);
  return restore({ result: original.result ?? '', secrets: original.secrets });
}

/**
 * SHA-256 of an idempotency key. Only the hash is stored. The items of a batch share a key and differ by
 * position. Clients cannot choose a key with such a hash, because keys contain no line breaks.
 */
export function hashKey(key: string, position = 0): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    createHash('sha256')
      .update(position === 0 ? key : `${position}\n${key}`)
      .digest(),
  );
}

/**
 * A fingerprint of an input, to compare inputs. It is an HMAC under the idempotency key, so that a reader of
 * the database cannot test guesses of the input, such as an invited address.
 */
export function fingerprintInput(key: string, input: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHmac('sha256', key).update(toCanonicalJson(input)).digest());
}

/** JSON with sorted property names, so that their order in the request does not matter. */
function toCanonicalJson(input: unknown): string {
  return JSON.stringify(input, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

const hourMs = 3_600_000;

/** The expiry of a record that is created now: the product's retention. */
export function decideExpiry(products: Products, product: string | null, now: Date): Date {
  return new Date(now.getTime() + rulesOf(products, product).retentionHours * hourMs);
}

/** Without a product, or with one that is no longer sold, the rules of the first product apply. */
function rulesOf(products: Products, product: string | null): Product['idempotency'] {
  return (products.find(product ?? '') ?? products.primary).idempotency;
}

/**
 * Maximum time to wait for another request with the same key in this process. The database limits the wait
 * between processes to the same time.
 */
const waitMsMax = 2_000;

/**
 * Runs one function per name at a time in this process.
 * @throws KeyInUseError if the wait exceeds two seconds
 */
export type RunExclusively = <Result>(name: string, work: () => Promise<Result>) => Promise<Result>;

/**
 * Serializes the calls of one key within this process, so that waiting calls hold no database connection;
 * the embedded database has only one. Between processes the database serializes them.
 */
export function createKeyLocks(): RunExclusively {
  const locks = new Map<string, MutexInterface>();
  return async (name, work) => {
    const lock = locks.get(name) ?? withTimeout(new Mutex(), waitMsMax, new KeyInUseError());
    locks.set(name, lock);
    try {
      return await lock.runExclusive(work);
    } finally {
      if (!lock.isLocked()) locks.delete(name);
    }
  };
}

/**
 * Claims a key for the transaction. If another transaction holds the key, waits for its end, for at most two
 * seconds.
 * @returns null if the key is now claimed, else the record of the original call
 * @throws KeyInUseError
 */
async function claimKey(tx: Tx, claim: Claim): Promise<IdempotencyRecord | null> {
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

async function storeResult(tx: Tx, id: RecordId, { result, secrets }: StoredResult): Promise<void> {
  await tx.idempotencyRecord.update({ ...whereRecord(id), data: { result, secrets }, select: { workspaceId: true } });
}

async function releaseKey(tx: Tx, id: RecordId): Promise<void> {
  await tx.idempotencyRecord.delete({ ...whereRecord(id), select: { workspaceId: true } });
}

function whereRecord({ keyHash, workspaceId, space }: RecordId) {
  return { where: { keyHash_workspaceId_space: { keyHash, workspaceId, space } } };
}

const recordsPerStatement = 1_000;
const statementsPerRun = 20;

/**
 * Deletes expired records in bounded statements. Safe to run in several processes.
 * @returns the number of deleted records
 */
export async function deleteExpiredRecords({ db, clock }: { db: Db; clock: () => Date }): Promise<number> {
  const now = clock();
  let deleted = 0;
  for (let statements = 0; statements < statementsPerRun; statements += 1) {
    const count = await db.$executeRaw`
      DELETE FROM "IdempotencyRecord" WHERE ("keyHash", "workspaceId", "space") IN (
        SELECT "keyHash", "workspaceId", "space" FROM "IdempotencyRecord" WHERE "expiresAt" <= ${now}::timestamptz
        ORDER BY "expiresAt" LIMIT ${recordsPerStatement} FOR UPDATE SKIP LOCKED
      )`;
    deleted += count;
    if (count < recordsPerStatement) break;
  }
  return deleted;
}
