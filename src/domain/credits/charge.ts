import { createBatcher } from '../../db/batcher.js';
import type { RunStatement, Statement } from '../../db/database.js';
import { newId } from '../../db/ids.js';
import { arrayOf, list, nameParameters, nullableList, single } from '../../db/named-parameters.js';
import type { Db, Tx } from '../../db/transaction.js';
import { UnavailableError, type ValidationError } from '../../errors.js';
import type { Charge } from '../../generated/prisma/client.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Product } from '../../products/product.js';
import type { CacheSnapshot, KeyCache } from '../keys/key-cache.js';
import type { KeyRecord } from '../keys/key-record.js';
import { decidePrice } from './price.js';

/**
 * How many statements run at the same time when there are more charges than one takes: so the database need
 * not wait for this process.
 */
const statementsMax = 2;

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

const parameters = nameParameters({
  era: single<string>('text'),
  seen: single<string | null>('pg_snapshot'),
  is_retry: single<boolean>('boolean'),
  workspace_ids: list<string>('text'),
  /** Of each charge: the position of its workspace, from 1. What follows is one item per charge, too. */
  accounts: list<number>('integer'),
  charge_ids: list<string>('text'),
  api_key_ids: list<string>('text'),
  products: list<string>('text'),
  actions: list<string>('text'),
  quantities: list<number>('double precision'),
  /** -1 without a price. */
  prices: list<number>('integer'),
  made_at: list<string>('timestamptz'),
  /** The lists from here on are null where no charge of the batch has such a value. */
  holds: nullableList<string>('boolean'),
  hold_ends: nullableList<string>('timestamptz'),
  idempotency_keys: arrayOf<string>('text'),
  spend_limits: nullableList<number>('integer'),
  spend_periods: nullableList<string>('text'),
});

const takeCharges: Statement = {
  name: 'take-charges',
  text: `SELECT * FROM tollkeeper.charge(${parameters.callArguments})`,
};

type Decision = 'done' | 'replayed' | 'insufficient' | 'capped' | 'unpriced' | 'stale';

interface Decisions {
  readonly outcomes: readonly Decision[];
  readonly balances_after: readonly (number | null)[];
  /** null where no charge has an idempotency key. */
  readonly originals: readonly (string | null)[] | null;
}

/**
 * Takes or holds the credits of actions; orders that arrive together share one statement, which decides them
 * in the order of their arrival. With an idempotency key an action is charged once per workspace and
 * environment, and a repetition returns the original whatever else it says, even an action that does not
 * exist. The statement confirms what was read of the key, so it need not be the newest.
 */
export function createChargeBatcher({ run, db, keys }: { run: RunStatement; db: Db | Tx; keys: KeyCache }): TakeCharge {
  const takeAll = async (orders: readonly ChargeOrder[]) => {
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
  };
  return createBatcher(takeAll, { concurrencyMax: statementsMax });
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
 * A free trial must not stand for a real action under the same key, so the keys of TEST are apart from those
 * of LIVE. A client's key has no spaces, so it cannot be one of the other environment's.
 */
function scopeToEnvironment(idempotencyKey: string, environment: Environment): string {
  return environment === 'TEST' ? `TEST ${idempotencyKey}` : idempotencyKey;
}

/**
 * Sends a batch. If its answer is lost it is sent once more, under the same ids: what the first one wrote is
 * then found, not written again.
 */
async function decide(
  run: RunStatement,
  drafts: readonly Draft[],
  { era, transactions }: CacheSnapshot,
): Promise<Decisions> {
  const columns = columnsOf(drafts);
  const send = async (isRetry: boolean) => {
    const values = parameters.encode({ era, seen: transactions, is_retry: isRetry, ...columns });
    const [decisions] = await run<Decisions>(takeCharges, values);
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

function columnsOf(drafts: readonly Draft[]) {
  // Every process sorts the workspaces the same way, since their accounts are locked in this order.
  const workspaceIds = [...new Set(drafts.map(({ charge }) => charge.workspaceId))].sort();
  const accounts = new Map(workspaceIds.map((id, index) => [id, index + 1]));
  const hasHolds = drafts.some(({ charge }) => charge.state === 'HELD');
  const hasKeys = drafts.some(({ charge }) => charge.idempotencyKey !== null);
  const hasLimits = drafts.some(({ key }) => key.spendLimit !== null);
  return {
    workspace_ids: workspaceIds,
    accounts: drafts.map(({ charge }) => accounts.get(charge.workspaceId) ?? 0),
    charge_ids: drafts.map(({ charge }) => charge.id),
    api_key_ids: drafts.map(({ charge }) => charge.apiKeyId),
    products: drafts.map(({ charge }) => charge.product),
    actions: drafts.map(({ charge }) => charge.action),
    quantities: drafts.map(({ charge }) => charge.quantity),
    prices: drafts.map(({ charge, unpriced }) => (unpriced === null ? charge.credits : -1)),
    made_at: drafts.map(({ charge }) => charge.createdAt.toISOString()),
    holds: hasHolds ? drafts.map(({ charge }) => (charge.state === 'HELD' ? 'true' : 'false')) : null,
    hold_ends: hasHolds ? drafts.map(({ charge }) => charge.expiresAt?.toISOString() ?? null) : null,
    idempotency_keys: hasKeys ? drafts.map(({ charge }) => charge.idempotencyKey) : null,
    spend_limits: hasLimits ? drafts.map(({ key }) => key.spendLimit) : null,
    spend_periods: hasLimits ? drafts.map(({ key }) => key.spendPeriod) : null,
  };
}

async function findOriginals(db: Db | Tx, { outcomes, originals }: Decisions): Promise<ReadonlyMap<string, Charge>> {
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
