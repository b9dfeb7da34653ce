import { type Tx, transaction } from '../../db/transaction.js';
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../errors.js';
import type { Charge } from '../../generated/prisma/client.js';
import { findAccess } from '../access/access.js';
import { parseCredits, parseIdempotencyKey, parseReason } from '../access/input.js';
import type { Permission } from '../access/permissions.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import { findRecordedResult, recordResult } from '../commands/keys-of-inputs.js';
import type { Deps } from '../deps.js';
import { lockAccount, type Posting, post, settleGrants } from '../ledger/ledger.js';
import { decidePrice, parseQuantity } from './price.js';

const settle: Permission = 'charge:settle';

export interface CaptureCharge {
  readonly chargeId: string;
  /** What to take of the hold; without credits and quantity: all of it. */
  readonly credits?: number | null | undefined;
  /** As `credits`, priced by the action of the hold. */
  readonly quantity?: number | null | undefined;
}

/**
 * Takes all or part of a hold and gives back the rest. Capturing twice is not an error: the first time stands.
 * @throws ValidationError for more than was held, NotFoundError, ConflictError for a charge that holds nothing any more
 */
export async function captureCharge(deps: Deps, actor: Actor, input: CaptureCharge): Promise<{ charge: Charge }> {
  const { charge, taken } = await transaction(deps.db, async (tx) => {
    const charge = await getLockedCharge(tx, actor, input.chargeId);
    const wasHeld = charge.expiresAt !== null;
    if (charge.state === 'CAPTURED' || (charge.state === 'REFUNDED' && wasHeld)) return { charge, taken: 0 };
    requireHeld(charge);
    const credits = decideCapture(deps, charge, input);
    const data = { state: 'CAPTURED', capturedCredits: credits } as const;
    const updated = await settleHold(
      tx,
      deps,
      charge,
      { kind: 'CAPTURE', credits: -credits, heldCredits: -charge.credits },
      data,
    );
    await audit(tx, actor, 'charge.captured', charge, updated);
    return { charge: updated, taken: credits };
  });
  deps.uses.spend({ id: charge.apiKeyId, workspaceId: charge.workspaceId }, taken, deps.clock());
  return { charge };
}

/** Gives back all of a hold. Releasing twice is not an error. @throws NotFoundError, ConflictError for a charge that was taken */
export async function releaseCharge(
  deps: Deps,
  actor: Actor,
  input: { readonly chargeId: string },
): Promise<{ charge: Charge }> {
  return transaction(deps.db, async (tx) => {
    const charge = await getLockedCharge(tx, actor, input.chargeId);
    if (charge.state === 'RELEASED') return { charge };
    requireHeld(charge);
    const posting = { kind: 'RELEASE', credits: 0, heldCredits: -charge.credits } as const;
    const updated = await settleHold(tx, deps, charge, posting, { state: 'RELEASED' });
    await audit(tx, actor, 'charge.released', charge, updated);
    return { charge: updated };
  });
}

export interface RefundCharge {
  readonly chargeId: string;
  /** Without it: all that is not refunded yet. */
  readonly credits?: number | null | undefined;
  readonly reason?: string | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/**
 * Gives back all or part of a charge that was taken, never more than was. A refund of all that is left is the same however often it
 * is asked for; parts are told apart by their idempotency keys.
 * @throws ValidationError for more than is left, NotFoundError, ConflictError for a hold
 */
export async function refundCharge(deps: Deps, actor: Actor, input: RefundCharge): Promise<{ charge: Charge }> {
  const reason = parseReason('input.reason', input.reason);
  const key = parseIdempotencyKey('input.idempotencyKey', input.idempotencyKey);
  const asked = input.credits == null ? null : parseCredits('input.credits', input.credits);
  return transaction(deps.db, async (tx) => {
    const charge = await getLockedCharge(tx, actor, input.chargeId);
    const { workspaceId } = charge;
    const operation = { workspaceId, operation: 'refundCharge', key };
    const originalId = await findRecordedResult(tx, operation);
    if (originalId !== null) return { charge: await tx.charge.findUniqueOrThrow({ where: { id: originalId } }) };
    if (charge.state === 'HELD' || charge.state === 'RELEASED') {
      throw new ConflictError('Only what was taken can be refunded. Release a hold instead.');
    }
    const taken = charge.state === 'CAPTURED' || charge.capturedCredits > 0 ? charge.capturedCredits : charge.credits;
    const left = taken - charge.refundedCredits;
    const credits = asked ?? left;
    if (credits > left)
      throw new ValidationError('input.credits', `At most ${left} credits of this charge can be refunded.`);
    if (credits === 0) return { charge };
    const now = deps.clock();
    const posted = await post(tx, { ...lineOf(charge), kind: 'REFUND', credits, reason, createdAt: now });
    if (posted === null) throw new ConflictError('The balance cannot take this refund.');
    await lowerSpending(tx, charge, credits);
    const updated = await tx.charge.update({
      where: { id: charge.id },
      data: {
        refundedCredits: charge.refundedCredits + credits,
        ...(credits === left && { state: 'REFUNDED' as const }),
      },
    });
    await recordResult(tx, operation, charge.id, now);
    await audit(tx, actor, 'charge.refunded', charge, updated, { reason });
    return { charge: updated };
  });
}

const expiredHoldsPerRun = 500;

/** Releases holds that were neither captured nor released in time. Safe on any number of processes at once. @returns how many. */
export async function releaseExpiredHolds(deps: Deps): Promise<number> {
  // The state as a constant: only so does PostgreSQL see that the index of held charges has them all.
  const due = await deps.db.$queryRaw<Pick<Charge, 'id' | 'workspaceId'>[]>`
    SELECT "id", "workspaceId" FROM "Charge" WHERE "state" = 'HELD' AND "expiresAt" <= ${deps.clock()}
    ORDER BY "expiresAt" LIMIT ${expiredHoldsPerRun}`;
  for (const { id, workspaceId } of due) {
    await transaction(deps.db, async (tx) => {
      await lockAccount(tx, workspaceId);
      const charge = await tx.charge.findUniqueOrThrow({ where: { id } });
      if (charge.state !== 'HELD') return;
      const posting = {
        kind: 'RELEASE',
        credits: 0,
        heldCredits: -charge.credits,
        reason: 'The hold expired',
      } as const;
      await settleHold(tx, deps, charge, posting, { state: 'RELEASED' });
    });
  }
  return due.length;
}

/** The charge as it stands under its account's lock. */
async function getLockedCharge(tx: Tx, actor: Actor, chargeId: string): Promise<Charge> {
  const notFound = new NotFoundError('input.chargeId', 'Charge not found.');
  const seen = await tx.charge.findUnique({ where: { id: chargeId }, select: { workspaceId: true } });
  if (seen === null) throw notFound;
  const access = await findAccess(tx, actor.principal, seen.workspaceId);
  if (access === null) throw notFound;
  if (!access.permissions.has(settle)) throw new ForbiddenError(settle);
  await lockAccount(tx, seen.workspaceId);
  return tx.charge.findUniqueOrThrow({ where: { id: chargeId } });
}

function requireHeld(charge: Charge): void {
  if (charge.state !== 'HELD') throw new ConflictError(`The charge holds nothing: it is ${charge.state}.`);
}

function decideCapture(deps: Deps, charge: Charge, { credits, quantity }: CaptureCharge): number {
  if (credits != null && quantity != null) {
    throw new ValidationError('input.quantity', 'Give credits or a quantity, not both.');
  }
  const field = credits == null ? 'input.quantity' : 'input.credits';
  const asked = credits ?? (quantity == null ? charge.credits : priceOf(deps, charge, parseQuantity(field, quantity)));
  if (asked === null || !Number.isInteger(asked) || asked < 0 || asked > charge.credits) {
    throw new ValidationError(field, `A capture takes from 0 to the ${charge.credits} credits that are held.`);
  }
  return asked;
}

/** What a quantity of a hold's action costs its key now; null where the product does not sell it any more. */
function priceOf({ products }: Deps, { product: slug, action, credits }: Charge, quantity: number): number | null {
  const product = products.find(slug);
  const price = product && decidePrice(product, credits === 0 ? 'TEST' : 'LIVE', action, quantity);
  return price && 'credits' in price ? price.credits : null;
}

async function settleHold(
  tx: Tx,
  deps: Deps,
  charge: Charge,
  movement: Pick<Posting, 'kind' | 'credits' | 'heldCredits' | 'reason'>,
  data: { state: 'CAPTURED' | 'RELEASED'; capturedCredits?: number },
): Promise<Charge> {
  const entry = await post(tx, { ...lineOf(charge), ...movement, createdAt: deps.clock() });
  if (entry === null) throw new Error(`The account of ${charge.workspaceId} does not cover the hold ${charge.id}.`);
  await lowerSpending(tx, charge, charge.credits - (data.capturedCredits ?? 0));
  // What a hold kept of a grant that has run out since is taken now.
  await settleGrants(tx, charge.workspaceId, deps.clock());
  return tx.charge.update({ where: { id: charge.id }, data: { ...data, balanceAfter: entry.balanceAfter } });
}

/** What is given back does not count against the spend limit of the period in which it was charged. */
async function lowerSpending(tx: Tx, { apiKeyId, createdAt }: Charge, credits: number): Promise<void> {
  await tx.$executeRaw`
    UPDATE "KeySpending" s SET "credits" = greatest(0, s."credits" - ${credits}::int)
    FROM "ApiKey" k
    WHERE k."id" = ${apiKeyId} AND s."apiKeyId" = k."id"
      AND s."startsAt" = date_trunc(lower(k."spendPeriod"::text), ${createdAt}::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`;
}

function lineOf({ workspaceId, id, apiKeyId, product, action }: Charge) {
  return { workspaceId, chargeId: id, apiKeyId, product, action };
}

async function audit(
  tx: Tx,
  actor: Actor,
  action: string,
  charge: Charge,
  settled: Charge,
  more: { reason?: string | null } = {},
) {
  await recordAudit(tx, actor, {
    workspaceId: charge.workspaceId,
    action,
    subjectId: charge.id,
    before: creditsOf(charge),
    after: { ...creditsOf(settled), ...more },
  });
}

function creditsOf({ state, credits, capturedCredits, refundedCredits }: Charge) {
  return { state, credits, capturedCredits, refundedCredits };
}
