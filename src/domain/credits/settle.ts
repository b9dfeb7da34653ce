import type { Clock } from '../../clock.js';
import { type Db, type Tx, transaction } from '../../db/transaction.js';
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../errors.js';
import type { Charge } from '../../generated/prisma/client.js';
import type { Products } from '../../products/product.js';
import { findAccess } from '../access/access.js';
import { parseCredits, parseIdempotencyKey, parseReason } from '../access/input.js';
import { type CommandContext, defineCommand, type Scope } from '../commands/define-command.js';
import { findByInputKey, storeInputKey } from '../commands/input-keys.js';
import { lockAccount, type Posting, post, settleGrants } from '../ledger/ledger.js';
import type { UseRecorder } from '../usage/use-recorder.js';
import { decidePrice, parseQuantity } from './price.js';

/** Commands about a charge. The account is locked, so that the charge cannot change after it is read. */
const chargeScope: Scope<{ readonly chargeId: string }, Charge> = {
  ids: ({ chargeId }) => [chargeId],
  locate: async ({ db }, { chargeId }) => {
    const charge = await db.charge.findUnique({
      where: { id: chargeId },
      select: { workspaceId: true, product: true },
    });
    return charge && { ...charge, recordId: chargeId, subject: null };
  },
  notFound: () => chargeNotFound(),
  lock: (tx, { workspaceId }) => lockAccount(tx, workspaceId),
  authorize: async ({ db, principal, permission }, { workspaceId }) => {
    const access = await findAccess(db, principal, workspaceId);
    if (access === null) throw chargeNotFound();
    if (!access.permissions.has(permission)) throw new ForbiddenError(permission);
    return access;
  },
  load: ({ db }, _target, _access, { chargeId }) => db.charge.findUniqueOrThrow({ where: { id: chargeId } }),
};

function chargeNotFound(): NotFoundError {
  return new NotFoundError('chargeId', 'Charge not found.');
}

export interface CaptureChargeInput {
  readonly chargeId: string;
  /** Credits to capture. Without credits and quantity: the whole hold. */
  readonly credits?: number | null | undefined;
  /** Units to capture, at the current price of the action. */
  readonly quantity?: number | null | undefined;
}

/**
 * Captures all or part of a hold and releases the rest. Capturing again is not an error: the first capture
 * counts.
 * @throws ValidationError for more than was held, NotFoundError, ConflictError for a charge that is not held
 */
export const captureCharge = defineCommand({
  name: 'captureCharge',
  permission: 'charge:settle',
  scope: chargeScope,
  audit: { done: 'charge.captured', refused: 'charge.capture.refused' },
  shownOnce: null,
  throttled: false,
  async run(
    context: CommandContext & { readonly uses: Pick<UseRecorder, 'spend'> },
    input: CaptureChargeInput,
    charge: Charge,
  ) {
    const { tx, clock, products, audit, uses } = context;
    const wasHeld = charge.expiresAt !== null;
    if (charge.state === 'CAPTURED' || (charge.state === 'REFUNDED' && wasHeld)) return { charge };
    requireHeld(charge);
    const credits = decideCapture(products, charge, input);
    const now = clock();
    const updated = await settleHold(
      tx,
      charge,
      { kind: 'CAPTURE', credits: -credits, heldCredits: -charge.credits, createdAt: now },
      { state: 'CAPTURED', capturedCredits: credits },
    );
    context.afterCommit(() => uses.spend({ id: charge.apiKeyId, workspaceId: charge.workspaceId }, credits, now));
    audit(describeSettlement(charge, updated));
    return { charge: updated };
  },
});

/**
 * Releases a whole hold. Releasing again is not an error.
 * @throws NotFoundError, ConflictError for a charge that is not held
 */
export const releaseCharge = defineCommand({
  name: 'releaseCharge',
  permission: 'charge:settle',
  scope: chargeScope,
  audit: { done: 'charge.released', refused: 'charge.release.refused' },
  shownOnce: null,
  throttled: false,
  async run({ tx, clock, audit }, _input: { readonly chargeId: string }, charge: Charge) {
    if (charge.state === 'RELEASED') return { charge };
    requireHeld(charge);
    const updated = await settleHold(
      tx,
      charge,
      { kind: 'RELEASE', credits: 0, heldCredits: -charge.credits, createdAt: clock() },
      { state: 'RELEASED' },
    );
    audit(describeSettlement(charge, updated));
    return { charge: updated };
  },
});

export interface RefundChargeInput {
  readonly chargeId: string;
  /** By default all credits that are not refunded yet. */
  readonly credits?: number | null | undefined;
  readonly reason?: string | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/**
 * Refunds all or part of a charge, at most the charged credits. A refund of all remaining credits can be
 * retried safely; a partial refund needs an idempotency key for that.
 * @throws ValidationError for more than the remaining credits, NotFoundError, ConflictError for a hold
 */
export const refundCharge = defineCommand({
  name: 'refundCharge',
  permission: 'charge:settle',
  scope: chargeScope,
  audit: { done: 'charge.refunded', refused: 'charge.refund.refused' },
  shownOnce: null,
  throttled: false,
  async run({ tx, clock, audit }, input: RefundChargeInput, charge: Charge) {
    const reason = parseReason('reason', input.reason);
    const key = parseIdempotencyKey('idempotencyKey', input.idempotencyKey);
    const requested = input.credits == null ? null : parseCredits('credits', input.credits);
    const inputKey = { workspaceId: charge.workspaceId, operation: 'refundCharge', key };
    const originalId = await findByInputKey(tx, inputKey);
    if (originalId !== null) return { charge: await tx.charge.findUniqueOrThrow({ where: { id: originalId } }) };
    if (charge.state === 'HELD' || charge.state === 'RELEASED') {
      throw new ConflictError('Only captured credits can be refunded. Release a hold instead.');
    }
    const taken = charge.state === 'CAPTURED' || charge.capturedCredits > 0 ? charge.capturedCredits : charge.credits;
    const left = taken - charge.refundedCredits;
    const credits = requested ?? left;
    if (credits > left) {
      throw new ValidationError('credits', `At most ${left} credits of this charge can be refunded.`);
    }
    if (credits === 0) return { charge };
    const now = clock();
    const posted = await post(tx, { ...entryOf(charge), kind: 'REFUND', credits, reason, createdAt: now });
    if (posted === null)
      throw new ConflictError('The refund would exceed the maximum balance of the workspace. Refund fewer credits.');
    await lowerSpending(tx, charge, credits);
    const updated = await tx.charge.update({
      where: { id: charge.id },
      data: {
        refundedCredits: charge.refundedCredits + credits,
        ...(credits === left && { state: 'REFUNDED' as const }),
      },
    });
    await storeInputKey(tx, inputKey, charge.id, now);
    audit(describeSettlement(charge, updated, { reason }));
    return { charge: updated };
  },
});

const expiredHoldsPerRun = 500;

/** Releases expired holds. Safe to run in several processes. @returns the number of holds */
export async function releaseExpiredHolds({ db, clock }: { db: Db; clock: Clock }): Promise<number> {
  // The state is a constant in the statement, so that PostgreSQL uses the partial index of held charges.
  const due = await db.$queryRaw<Pick<Charge, 'id' | 'workspaceId'>[]>`
    SELECT "id", "workspaceId" FROM "Charge" WHERE "state" = 'HELD' AND "expiresAt" <= ${clock()}
    ORDER BY "expiresAt" LIMIT ${expiredHoldsPerRun}`;
  for (const { id, workspaceId } of due) {
    await transaction(db, async (tx) => {
      await lockAccount(tx, workspaceId);
      const charge = await tx.charge.findUniqueOrThrow({ where: { id } });
      if (charge.state !== 'HELD') return;
      await settleHold(
        tx,
        charge,
        {
          kind: 'RELEASE',
          credits: 0,
          heldCredits: -charge.credits,
          reason: 'The hold expired',
          createdAt: clock(),
        },
        { state: 'RELEASED' },
      );
    });
  }
  return due.length;
}

function requireHeld({ state }: Charge): void {
  if (state !== 'HELD') throw new ConflictError(`The charge must be HELD, but its state is ${state}.`);
}

function decideCapture(products: Products, charge: Charge, { credits, quantity }: CaptureChargeInput): number {
  if (credits != null && quantity != null) {
    throw new ValidationError('quantity', 'Set credits or quantity, not both.');
  }
  const field = credits == null ? 'quantity' : 'credits';
  const captured =
    credits ?? (quantity == null ? charge.credits : priceOf(products, charge, parseQuantity(field, quantity)));
  if (captured === null || !Number.isInteger(captured) || captured < 0 || captured > charge.credits) {
    throw new ValidationError(
      field,
      `A capture must take from 0 to ${charge.credits} credits, the credits of the hold.`,
    );
  }
  return captured;
}

/** The current price of a quantity of a hold's action; null where the product no longer sells it. */
function priceOf(products: Products, { product: slug, action, credits }: Charge, quantity: number): number | null {
  const product = products.find(slug);
  const price = product && decidePrice(product, credits === 0 ? 'TEST' : 'LIVE', action, quantity);
  return price && 'credits' in price ? price.credits : null;
}

async function settleHold(
  tx: Tx,
  charge: Charge,
  movement: Pick<Posting, 'kind' | 'credits' | 'heldCredits' | 'reason' | 'createdAt'>,
  data: { state: 'CAPTURED' | 'RELEASED'; capturedCredits?: number },
): Promise<Charge> {
  const entry = await post(tx, { ...entryOf(charge), ...movement });
  if (entry === null) throw new Error(`The account of ${charge.workspaceId} does not cover the hold ${charge.id}.`);
  await lowerSpending(tx, charge, charge.credits - (data.capturedCredits ?? 0));
  // Expires credits that the hold reserved from a grant that has expired since.
  await settleGrants(tx, charge.workspaceId, movement.createdAt);
  return tx.charge.update({ where: { id: charge.id }, data: { ...data, balanceAfter: entry.balanceAfter } });
}

/** Released and refunded credits do not count against the spend limit of the period of the charge. */
async function lowerSpending(tx: Tx, { apiKeyId, createdAt }: Charge, credits: number): Promise<void> {
  await tx.$executeRaw`
    UPDATE "KeySpending" s SET "credits" = greatest(0, s."credits" - ${credits}::int)
    FROM "ApiKey" k
    WHERE k."id" = ${apiKeyId} AND s."apiKeyId" = k."id"
      AND s."startsAt" = date_trunc(lower(k."spendPeriod"::text), ${createdAt}::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`;
}

function entryOf({ workspaceId, id, apiKeyId, product, action }: Charge) {
  return { workspaceId, chargeId: id, apiKeyId, product, action };
}

function describeSettlement(charge: Charge, settled: Charge, more: { reason?: string | null } = {}) {
  return { subjectId: charge.id, before: describeCharge(charge), after: { ...describeCharge(settled), ...more } };
}

function describeCharge({ state, credits, capturedCredits, refundedCredits }: Charge) {
  return { state, credits, capturedCredits, refundedCredits };
}
