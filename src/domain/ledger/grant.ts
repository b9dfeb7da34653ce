import { newId } from '../../db/ids.js';
import { type Tx, transaction } from '../../db/transaction.js';
import { ValidationError } from '../../errors.js';
import type { ApiKey, LedgerEntry } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import { getAccess } from '../access/access.js';
import { creditsMax, parseCredits, parseFutureTime, parseIdempotencyKey, parseReason } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import { findRecordedResult, recordResult } from '../commands/keys-of-inputs.js';
import type { Deps } from '../deps.js';
import { publishEvent } from '../events/publish.js';
import { lockAccount, type Posting, post, settleGrants } from './ledger.js';

export interface GrantCredits {
  readonly workspaceId: string;
  readonly credits: number;
  readonly reason?: string | null | undefined;
  /** When what is not spent of it is taken back; without it: never. */
  readonly expiresAt?: Date | null | undefined;
  /** Lower is spent first; among equals what runs out first. 0 unless told. */
  readonly priority?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/**
 * Adds credits to a workspace. With an idempotency key it happens once; a repetition returns the original entry, whatever else it says.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export async function grantCredits(
  deps: Deps,
  actor: Actor,
  input: GrantCredits,
): Promise<{ entry: LedgerEntry; workspaceId: string; replayed: boolean }> {
  const credits = parseCredits('input.credits', input.credits);
  const reason = parseReason('input.reason', input.reason);
  const idempotencyKey = parseIdempotencyKey('input.idempotencyKey', input.idempotencyKey);
  const expiresAt = input.expiresAt ? parseFutureTime('input.expiresAt', input.expiresAt, deps.clock()) : null;
  const priority = parsePriority('input.priority', input.priority ?? 0);
  return transaction(deps.db, async (tx) => {
    const { workspaceId } = await getAccess(tx, actor.principal, input.workspaceId, 'credits:grant');
    await lockAccount(tx, workspaceId);
    const operation = { workspaceId, operation: 'grantCredits', key: idempotencyKey };
    const originalId = await findRecordedResult(tx, operation);
    if (originalId !== null) {
      const entry = await tx.ledgerEntry.findUniqueOrThrow({ where: { id: originalId } });
      return { entry, workspaceId, replayed: true };
    }
    const createdAt = deps.clock();
    const line = { workspaceId, credits, reason, createdAt };
    const entry = await postGrant(tx, line, { expiresAt, priority });
    if (entry === null) {
      throw new ValidationError('input.credits', `A balance cannot exceed ${creditsMax} credits.`);
    }
    await recordResult(tx, operation, entry.id, createdAt);
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'credits.granted',
      subjectId: entry.id,
      before: { balance: entry.balanceAfter - credits },
      after: {
        balance: entry.balanceAfter,
        credits,
        reason,
        expiresAt: expiresAt?.toISOString() ?? null,
        priority,
      },
    });
    return { entry, workspaceId, replayed: false };
  });
}

/** Grants a product's free credits with a workspace's first key of it. The primary key decides which is the first. @returns the credits granted now. */
export async function grantFreeCredits(
  tx: Tx,
  actor: Actor,
  product: Product,
  key: ApiKey,
  now: Date,
): Promise<number> {
  const { workspaceId } = key;
  const { slug, freeCredits } = product;
  if (freeCredits === 0) return 0;
  const { count } = await tx.freeCreditGrant.createMany({
    data: [{ workspaceId, product: slug, credits: freeCredits, createdAt: now }],
    skipDuplicates: true,
  });
  if (count === 0) return 0;
  await lockAccount(tx, workspaceId);
  const reason = 'Free credits with the first key';
  const line = { workspaceId, credits: freeCredits, apiKeyId: key.id, product: slug, reason, createdAt: now };
  const entry = await postGrant(tx, line, { expiresAt: null, priority: 0 });
  if (entry === null) return 0;
  await recordAudit(tx, actor, {
    workspaceId,
    action: 'credits.granted',
    subjectId: entry.id,
    before: { balance: entry.balanceAfter - freeCredits },
    after: { balance: entry.balanceAfter, credits: freeCredits, reason, expiresAt: null, priority: 0 },
  });
  return freeCredits;
}

/** Posts a grant and remembers until when it counts. Call it under the account's lock. @returns null where the balance cannot take it. */
async function postGrant(
  tx: Tx,
  line: Omit<Posting, 'kind'>,
  { expiresAt, priority }: { expiresAt: Date | null; priority: number },
): Promise<LedgerEntry | null> {
  const { workspaceId, credits, createdAt } = line;
  // What was spent until now was spent of the grants that were there.
  await settleGrants(tx, workspaceId, createdAt);
  const entry = await post(tx, { ...line, kind: 'GRANT' });
  if (entry === null) return null;
  const id = newId('creditGrant');
  await tx.creditGrant.create({
    data: { id, workspaceId, credits, remaining: credits, priority, expiresAt, createdAt },
  });
  if (expiresAt !== null) {
    await tx.$executeRaw`
      UPDATE "CreditAccount" SET "expiresAt" = LEAST("expiresAt", ${expiresAt}::timestamptz) WHERE "workspaceId" = ${workspaceId}`;
  }
  await publishEvent(tx, {
    workspaceId,
    apiKeyId: null,
    type: 'credits.granted',
    at: createdAt,
    data: {
      workspaceId,
      credits,
      balance: entry.balanceAfter,
      reason: entry.reason,
      expiresAt: expiresAt?.toISOString() ?? null,
      ledgerEntryId: entry.id,
    },
  });
  return entry;
}

const priorityMax = 1_000;

function parsePriority(field: string, priority: number): number {
  if (Math.abs(priority) > priorityMax) {
    throw new ValidationError(field, `A priority is a whole number from -${priorityMax} to ${priorityMax}.`);
  }
  return priority;
}

const accountsPerRun = 500;

/** Takes back what has run out of time. A charge does the same for its own account before it is decided. @returns how many accounts were looked at. */
export async function expireGrants(deps: Deps): Promise<number> {
  const now = deps.clock();
  const due = await deps.db.creditAccount.findMany({
    where: { expiresAt: { lte: now } },
    select: { workspaceId: true },
    orderBy: { expiresAt: 'asc' },
    take: accountsPerRun,
  });
  for (const { workspaceId } of due) {
    await transaction(deps.db, (tx) => settleGrants(tx, workspaceId, now));
  }
  return due.length;
}
