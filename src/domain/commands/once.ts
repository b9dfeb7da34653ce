import { type Db, type Tx, transaction } from '../../db/transaction.js';
import { KeyReusedError, UnavailableError } from '../../errors.js';
import type { IdempotencyRecord } from '../../generated/prisma/client.js';
import type { Product, Products } from '../../products/product.js';
import type { Deps } from '../deps.js';
import { deferUses } from '../usage/deferred-uses.js';
import type { InFlight } from './in-flight.js';
import type { KeyedCall } from './keyed-call.js';
import { type Claim, claimKey, findRecord, freeKey, type RecordedResult, storeResult } from './record.js';

/** One call under a key. */
export interface Once<Result> {
  readonly call: KeyedCall;
  readonly claim: Claim;
  /** Whether the caller may do here what is asked. */
  mayAsk(db: Db | Tx): Promise<boolean>;
  /** Whether the caller may see what came of the original, which may have been about something else. */
  mayRepeat(db: Db | Tx, original: IdempotencyRecord): Promise<boolean>;
  /** Does it, within the transaction of `deps`. */
  run(deps: Deps): Promise<Result>;
  /** Whether a result is one: a refusal is not remembered, so that the call can succeed once its cause is gone. */
  stands(result: Result): boolean;
  write(result: Result): RecordedResult;
  read(record: RecordedResult): Result;
}

/**
 * Runs a call once: the record of its key is committed in the transaction of its effect, so there is either both or neither. Whoever
 * comes later gets the original result, and whoever comes meanwhile waits for it.
 * @throws KeyInUseError where the first call takes long, KeyReusedError for a key that was used for something else, and what the call throws
 */
export async function runOnce<Result>(deps: Deps, inFlight: InFlight, once: Once<Result>): Promise<Result> {
  const { claim } = once;
  const leave = await inFlight.enter(nameOf(claim));
  try {
    // Most repetitions come after the end of the original; they need no transaction.
    const found = await findRecord(deps.db, claim, claim.createdAt);
    if (found !== null && (await isRepeatedBy(deps.db, once, found))) return repeat(deps, once, found);
    let uses = deferUses(deps.uses);
    const result = await transaction(deps.db, async (tx) => {
      uses = deferUses(deps.uses);
      const within = { ...deps, db: tx as Db, uses };
      if (!(await once.mayAsk(tx))) return refuse(within, once.run);
      const original = await claimKey(tx, claim);
      if (original !== null) {
        if (await isRepeatedBy(tx, once, original)) return repeat(deps, once, original);
        const use = original.operation === claim.operation ? 'something else' : original.operation;
        throw new KeyReusedError(`This Idempotency-Key was used for ${use}. Use a new one for each call.`);
      }
      const made = await once.run(within);
      await (once.stands(made) ? storeResult(tx, claim, once.write(made)) : freeKey(tx, claim));
      return made;
    });
    uses.release();
    return result;
  } finally {
    leave();
  }
}

/** Lets the call itself refuse whoever may not make it, in its own words. What nobody may repeat is not done either. */
export async function refuse(within: Deps, run: (deps: Deps) => Promise<unknown>): Promise<never> {
  await run(within);
  throw new UnavailableError('What this is about is being changed just now. Try again in a moment.');
}

/** Whether a call repeats the original and its caller may: the input may say something else, but not ask for another mutation. */
async function isRepeatedBy<Result>(db: Db | Tx, once: Once<Result>, original: IdempotencyRecord): Promise<boolean> {
  return original.operation === once.claim.operation && (await once.mayRepeat(db, original));
}

function repeat<Result>({ products }: Deps, { call, claim, read }: Once<Result>, original: IdempotencyRecord): Result {
  const bodyDiffers = !Buffer.from(claim.fingerprint).equals(original.fingerprint ?? new Uint8Array());
  if (bodyDiffers && rulesOf(products, original.product).strict) {
    throw new KeyReusedError(
      'This Idempotency-Key was used with another input. Repeat the same one, or use a new key.',
    );
  }
  call.onReplay(bodyDiffers);
  return read({ result: original.result ?? '', secrets: original.secrets });
}

const hourMs = 3_600_000;

/** Until when a record counts that is made now. */
export function expiryOf({ products }: Pick<Deps, 'products'>, product: string | null, now: Date): Date {
  return new Date(now.getTime() + rulesOf(products, product).retentionHours * hourMs);
}

/** Where no product is concerned, or it is not sold any more, the rules of the first one hold. */
function rulesOf(products: Products, product: string | null): Product['idempotency'] {
  return (products.find(product ?? '') ?? products.primary).idempotency;
}

function nameOf({ workspaceId, space, keyHash }: Claim): string {
  return `${workspaceId} ${space} ${Buffer.from(keyHash).toString('hex')}`;
}
