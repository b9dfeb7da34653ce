import { createBatcher } from '../../db/batcher.js';
import type { RunStatement, Statement } from '../../db/database.js';
import { newId } from '../../db/ids.js';
import type { Db } from '../../db/transaction.js';
import { UnavailableError, type ValidationError } from '../../errors.js';
import type { Charge } from '../../generated/prisma/client.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Product } from '../../products/product.js';
import type { CacheSnapshot, KeyCache } from '../keys/key-cache.js';
import type { KeyRecord } from '../keys/key-record.js';
import { decidePrice } from './price.js';

/** What a key is to be charged for. */
export interface ChargeRequest {
  readonly action: string;
  /** Above zero. */
  readonly quantity: number;
  readonly hold: boolean;
  readonly idempotencyKey: string | null;
}

/** Whom to charge, and for what. */
export interface ChargeOrder {
  readonly key: KeyRecord;
  readonly product: Product;
  readonly request: ChargeRequest;
  readonly at: Date;
}

/** A charge, and whether it is the one that a repetition of its idempotency key found. */
export type DecidedCharge = Charge & { readonly replayed: boolean };

export type ChargeOutcome =
  | { readonly kind: 'charged'; readonly charge: DecidedCharge }
  | { readonly kind: 'insufficient' }
  /** The key has reached the spend limit of its period. */
  | { readonly kind: 'capped' }
  /** The key or its workspace was changed after it was read: check again. */
  | { readonly kind: 'stale' };

/** @throws ValidationError for an unknown action or an impossible quantity, UnavailableError */
export type TakeCharge = (order: ChargeOrder) => Promise<ChargeOutcome>;

// Lists travel as texts wherever no item can hold a comma: that is cheaper on both sides than arrays.
const takeCharges: Statement = {
  name: 'take-charges',
  text: `SELECT * FROM tollkeeper.charge(
    era => $1, seen => $2::pg_snapshot, workspace_ids => string_to_array($3, ','), accounts => string_to_array($4, ',')::int[],
    charge_ids => string_to_array($5, ','), api_key_ids => string_to_array($6, ','), products => string_to_array($7, ','),
    actions => string_to_array($8, ','), quantities => string_to_array($9, ',')::float8[], prices => string_to_array($10, ',')::int[],
    holds => string_to_array($11, ',')::bool[], hold_ends => string_to_array($12, ',', '')::timestamptz[],
    made_at => string_to_array($13, ',')::timestamptz[], idempotency_keys => $14::text[],
    spend_limits => string_to_array($15, ',', '')::int[], spend_periods => string_to_array($16, ',', ''), is_retry => $17::bool
  )`,
};

type Decision = 'done' | 'replayed' | 'insufficient' | 'capped' | 'unpriced' | 'stale';

interface Decisions {
  readonly outcomes: readonly Decision[];
  readonly balances_after: readonly (number | null)[];
  /** null where no charge has an idempotency key. */
  readonly originals: readonly (string | null)[] | null;
}

/**
 * Takes or holds the credits of actions; orders that arrive together share one statement, which decides them in the order of their
 * arrival. With an idempotency key an action is charged once per workspace and environment, and a repetition returns the original whatever else it
 * says, even an action that does not exist. The statement confirms what was read of the key, so it need not be the newest.
 */
export function createChargeBatcher({ run, db, keys }: { run: RunStatement; db: Db; keys: KeyCache }): TakeCharge {
  return createBatcher<ChargeOrder, ChargeOutcome>(async (orders) => {
    const outcomes = new Array<ChargeOutcome | Error>(orders.length).fill({ kind: 'stale' });
    const drafts: Draft[] = [];
    orders.forEach((order, position) => {
      if (keys.isCurrent(order.key)) drafts.push(draftCharge(order, position));
    });
    if (drafts.length === 0) return outcomes;
    const decisions = await decide(run, drafts, keys.snapshot);
    const originals = await findOriginals(db, decisions);
    drafts.forEach((draft, index) => {
      outcomes[draft.position] = outcomeOf(draft, decisions, index, originals);
    });
    return outcomes;
  });
}

/** A charge as it will stand if it is done, or why it can be nothing but a repetition. */
interface Draft {
  /** Of its order in the batch. */
  readonly position: number;
  readonly key: KeyRecord;
  readonly charge: DecidedCharge;
  readonly unpriced: ValidationError | null;
}

function draftCharge({ key, product, request, at }: ChargeOrder, position: number): Draft {
  const { action, quantity, hold, idempotencyKey } = request;
  const price = decidePrice(product, key.environment, action, quantity);
  const isPriced = 'credits' in price;
  return {
    position,
    key,
    unpriced: isPriced ? null : price.error,
    charge: {
      id: newId('charge'),
      workspaceId: key.workspaceId,
      apiKeyId: key.id,
      product: product.slug,
      // What has no price is never written, so its name need not be one that can be.
      action: isPriced ? action : '',
      quantity,
      credits: isPriced ? price.credits : 0,
      capturedCredits: 0,
      refundedCredits: 0,
      balanceAfter: 0,
      state: hold ? 'HELD' : 'POSTED',
      idempotencyKey: idempotencyKey && scopeToEnvironment(idempotencyKey, key.environment),
      createdAt: at,
      expiresAt: hold ? new Date(at.getTime() + product.holdSeconds * 1000) : null,
      replayed: false,
    },
  };
}

/**
 * A free trial must not stand for a real action under the same key, so the keys of TEST are apart from those of LIVE. A client's key
 * has no spaces, so it cannot be one of the other environment's.
 */
function scopeToEnvironment(idempotencyKey: string, environment: Environment): string {
  return environment === 'TEST' ? `TEST ${idempotencyKey}` : idempotencyKey;
}

/** Sends a batch. If its answer is lost it is sent once more, under the same ids: what the first one wrote is then found, not written again. */
async function decide(run: RunStatement, drafts: readonly Draft[], snapshot: CacheSnapshot): Promise<Decisions> {
  const columns = columnsOf(drafts);
  const send = async (isRetry: boolean) => {
    const [decisions] = await run<Decisions>(takeCharges, [snapshot.era, snapshot.transactions, ...columns, isRetry]);
    if (decisions === undefined) throw new Error('A batch of charges was not decided.');
    return decisions;
  };
  try {
    return await send(false);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return send(true);
  }
}

function columnsOf(drafts: readonly Draft[]): unknown[] {
  // In one order in every process, since the accounts are locked in it.
  const workspaceIds = [...new Set(drafts.map(({ charge }) => charge.workspaceId))].sort();
  const accounts = new Map(workspaceIds.map((id, index) => [id, index + 1]));
  const list = (read: (draft: Draft) => unknown) => drafts.map(read).join(',');
  const hasLimits = drafts.some(({ key }) => key.spendLimit !== null);
  return [
    workspaceIds.join(','),
    list(({ charge }) => accounts.get(charge.workspaceId)),
    list(({ charge }) => charge.id),
    list(({ charge }) => charge.apiKeyId),
    list(({ charge }) => charge.product),
    list(({ charge }) => charge.action),
    list(({ charge }) => charge.quantity),
    list(({ charge, unpriced }) => (unpriced === null ? charge.credits : -1)),
    list(({ charge }) => charge.state === 'HELD'),
    list(({ charge }) => charge.expiresAt?.toISOString()),
    list(({ charge }) => charge.createdAt.toISOString()),
    drafts.some(({ charge }) => charge.idempotencyKey !== null)
      ? drafts.map(({ charge }) => charge.idempotencyKey)
      : null,
    hasLimits ? list(({ key }) => key.spendLimit) : null,
    hasLimits ? list(({ key }) => key.spendPeriod) : null,
  ];
}

async function findOriginals(db: Db, { outcomes, originals }: Decisions): Promise<ReadonlyMap<string, Charge>> {
  const ids = originals?.filter((id, index) => id !== null && outcomes[index] === 'replayed') ?? [];
  if (ids.length === 0) return new Map();
  const charges = await db.charge.findMany({ where: { id: { in: ids as string[] } } });
  return new Map(charges.map((charge) => [charge.id, charge]));
}

function outcomeOf(
  { charge, unpriced }: Draft,
  { outcomes, balances_after, originals }: Decisions,
  index: number,
  charges: ReadonlyMap<string, Charge>,
): ChargeOutcome | Error {
  const outcome = outcomes[index];
  switch (outcome) {
    case 'done':
      // Its own object: a copy for each charge would be most of what a verification leaves to be collected.
      charge.balanceAfter = balances_after[index] ?? 0;
      return { kind: 'charged', charge };
    case 'replayed': {
      const original = charges.get(originals?.[index] ?? '');
      return original
        ? { kind: 'charged', charge: { ...original, replayed: true } }
        : new Error('A charge that stands was not found.');
    }
    case 'insufficient':
    case 'capped':
    case 'stale':
      return { kind: outcome };
    default:
      return unpriced ?? new Error('A charge was not decided.');
  }
}
