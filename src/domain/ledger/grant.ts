import type { Clock } from '../../clock.js';
import { newId } from '../../db/ids.js';
import { type Db, type Tx, transaction } from '../../db/transaction.js';
import { ValidationError } from '../../errors.js';
import type { ApiKey, LedgerEntry } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import type { Access } from '../access/access.js';
import { creditsMax, parseCredits, parseFutureTime, parseIdempotencyKey, parseReason } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import { defineCommand, type Scope } from '../commands/define-command.js';
import { findByInputKey, storeInputKey } from '../commands/input-keys.js';
import { publishEvent } from '../events/publish.js';
import { workspaceScope } from '../workspaces/scopes.js';
import { lockAccount, type Posting, post, settleGrants } from './ledger.js';

/**
 * Commands about the credits of a workspace. The account is locked, not the workspace: charges lock accounts
 * only.
 */
export const accountScope: Scope<{ readonly workspaceId: string }, Access> = {
  ...workspaceScope,
  lock: (tx, { workspaceId }) => lockAccount(tx, workspaceId),
};

export interface GrantCreditsInput {
  readonly workspaceId: string;
  readonly credits: number;
  readonly reason?: string | null | undefined;
  /** Time at which the unspent credits expire; null: never. */
  readonly expiresAt?: Date | null | undefined;
  /**
   * Grants with a lower priority are spent first; with equal priority, those that expire first. Default: 0.
   */
  readonly priority?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/**
 * Adds credits to a workspace. A replay with the same idempotency key returns the original entry, also if
 * its input differs.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export const grantCredits = defineCommand({
  name: 'grantCredits',
  permission: 'credits:grant',
  scope: accountScope,
  audit: { done: 'credits.granted', refused: 'credits.grant.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, input: GrantCreditsInput, { workspaceId }) {
    const createdAt = clock();
    const credits = parseCredits('credits', input.credits);
    const reason = parseReason('reason', input.reason);
    const key = parseIdempotencyKey('idempotencyKey', input.idempotencyKey);
    const expiresAt = input.expiresAt ? parseFutureTime('expiresAt', input.expiresAt, createdAt) : null;
    const priority = parsePriority('priority', input.priority ?? 0);
    const inputKey = { workspaceId, operation: 'grantCredits', key };
    const originalId = await findByInputKey(tx, inputKey);
    if (originalId !== null) {
      const entry = await tx.ledgerEntry.findUniqueOrThrow({ where: { id: originalId } });
      return { entry, workspaceId, replayed: true };
    }
    const entry = await postGrant(tx, { workspaceId, credits, reason, createdAt }, { expiresAt, priority });
    if (entry === null)
      throw new ValidationError(
        'credits',
        `The balance would exceed its maximum of ${creditsMax} credits. Grant fewer credits.`,
      );
    await storeInputKey(tx, inputKey, entry.id, createdAt);
    audit({
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
  },
});

/**
 * Grants the free credits of a product with the workspace's first key of the product. The primary key
 * decides between concurrent calls.
 * @returns the credits granted
 */
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

/**
 * Posts a grant. Call it under the lock of the account.
 * @returns null if the balance would exceed its maximum
 */
async function postGrant(
  tx: Tx,
  line: Omit<Posting, 'kind'>,
  { expiresAt, priority }: { expiresAt: Date | null; priority: number },
): Promise<LedgerEntry | null> {
  const { workspaceId, credits, createdAt } = line;
  // Attribute earlier spending to the earlier grants.
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
    throw new ValidationError(field, `The priority must be a whole number from -${priorityMax} to ${priorityMax}.`);
  }
  return priority;
}

const accountsPerRun = 500;

/**
 * Settles accounts with expired grants. A charge settles its own account first.
 * @returns the number of accounts
 */
export async function expireGrants({ db, clock }: { db: Db; clock: Clock }): Promise<number> {
  const now = clock();
  const due = await db.creditAccount.findMany({
    where: { expiresAt: { lte: now } },
    select: { workspaceId: true },
    orderBy: { expiresAt: 'asc' },
    take: accountsPerRun,
  });
  for (const { workspaceId } of due) {
    await transaction(db, (tx) => settleGrants(tx, workspaceId, now));
  }
  return due.length;
}
