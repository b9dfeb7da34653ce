import type { RunStatement, Statement } from '../../db/database.js';
import { newId } from '../../db/ids.js';
import type { Db } from '../../db/transaction.js';
import type { Charge } from '../../generated/prisma/client.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Product } from '../../products/product.js';
import { UnavailableError, type ValidationError } from '../errors.js';
import { createFlushLoader } from '../verification/flush-loader.js';
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
  readonly key: { readonly id: string; readonly workspaceId: string; readonly environment: Environment };
  readonly product: Product;
  readonly request: ChargeRequest;
  readonly at: Date;
}

export type ChargeOutcome =
  | { readonly kind: 'charged'; readonly charge: Charge; readonly replayed: boolean }
  | { readonly kind: 'insufficient' }
  /** The key has reached the spend limit of its period. */
  | { readonly kind: 'capped' }
  /** The key or its workspace ended or was suspended after it was checked: check again. */
  | { readonly kind: 'stale' };

/** @throws ValidationError for an unknown action or an impossible quantity, UnavailableError */
export type TakeCharge = (order: ChargeOrder) => Promise<ChargeOutcome>;

const takeCharges: Statement = {
  name: 'take-charges',
  text: `SELECT * FROM tollkeeper_charge(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::int[], $8::bool[], $9::timestamptz[], $10::text[],
    $11::timestamptz[], $12::bool
  )`,
};

interface DecidedRow {
  readonly n: number;
  readonly outcome: 'done' | 'replayed' | 'insufficient' | 'capped' | 'unpriced' | 'stale';
  readonly balanceAfter: number | null;
  readonly original: string | null;
}

/**
 * Takes or holds the credits of actions; orders that arrive together share one statement, which decides them in the order of their
 * arrival. With an idempotency key an action is charged once per workspace and environment, and a repetition returns the original whatever else it
 * says, even an action that does not exist.
 */
export function createTill({ run, db }: { run: RunStatement; db: Db }): TakeCharge {
  return createFlushLoader<ChargeOrder, ChargeOutcome>(async (orders) => {
    const drafts = orders.map(draftCharge);
    const rows = await decide(run, drafts);
    const originals = await findOriginals(db, rows);
    return drafts.map((draft, index) => outcomeOf(draft, rows[index], originals));
  });
}

/** A charge as it will stand if it is done, or why it can be nothing but a repetition. */
interface Draft {
  readonly charge: Charge;
  readonly unpriced: ValidationError | null;
}

function draftCharge({ key, product, request, at }: ChargeOrder): Draft {
  const { action, quantity, hold, idempotencyKey } = request;
  const price = decidePrice(product, key.environment, action, quantity);
  const isPriced = 'credits' in price;
  return {
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
async function decide(run: RunStatement, drafts: readonly Draft[]): Promise<DecidedRow[]> {
  const send = (isRetry: boolean) => run<DecidedRow>(takeCharges, [...columnsOf(drafts), isRetry]);
  try {
    return await send(false);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return send(true);
  }
}

function columnsOf(drafts: readonly Draft[]): unknown[] {
  const column = (read: (charge: Charge) => unknown) => drafts.map(({ charge }) => read(charge));
  return [
    column((charge) => charge.id),
    column((charge) => charge.workspaceId),
    column((charge) => charge.apiKeyId),
    column((charge) => charge.product),
    column((charge) => charge.action),
    column((charge) => charge.quantity),
    drafts.map(({ charge, unpriced }) => (unpriced === null ? charge.credits : null)),
    column((charge) => charge.state === 'HELD'),
    column((charge) => charge.expiresAt?.toISOString() ?? null),
    column((charge) => charge.idempotencyKey),
    column((charge) => charge.createdAt.toISOString()),
  ];
}

async function findOriginals(db: Db, rows: readonly DecidedRow[]): Promise<ReadonlyMap<string, Charge>> {
  const ids = rows.flatMap(({ outcome, original }) => (outcome === 'replayed' && original !== null ? [original] : []));
  if (ids.length === 0) return new Map();
  const originals = await db.charge.findMany({ where: { id: { in: ids } } });
  return new Map(originals.map((charge) => [charge.id, charge]));
}

function outcomeOf(
  { charge, unpriced }: Draft,
  row: DecidedRow | undefined,
  originals: ReadonlyMap<string, Charge>,
): ChargeOutcome | Error {
  switch (row?.outcome) {
    case 'done':
      return { kind: 'charged', charge: { ...charge, balanceAfter: row.balanceAfter ?? 0 }, replayed: false };
    case 'replayed': {
      const original = originals.get(row.original ?? '');
      return original
        ? { kind: 'charged', charge: original, replayed: true }
        : new Error('A charge that stands was not found.');
    }
    case 'insufficient':
    case 'capped':
    case 'stale':
      return { kind: row.outcome };
    default:
      return unpriced ?? new Error('A charge was not decided.');
  }
}
