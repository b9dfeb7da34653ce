import type { Tx } from '../../db/transaction.js';
import type { LedgerEntry } from '../../generated/prisma/client.js';
import type { LedgerEntryKind } from '../../generated/prisma/enums.js';
import { creditsMax } from '../access/input.js';

export interface Account {
  /** All credits, those held included. */
  readonly balance: number;
  /** Credits reserved by holds. */
  readonly held: number;
}

/** A ledger entry before it is written. Signs are those of its effect. */
export interface Posting {
  readonly workspaceId: string;
  readonly kind: LedgerEntryKind;
  /** Added to the balance. */
  readonly credits: number;
  /** Added to what is held. */
  readonly heldCredits?: number;
  readonly chargeId?: string | null;
  readonly apiKeyId?: string | null;
  readonly product?: string | null;
  readonly action?: string | null;
  readonly reason?: string | null;
  readonly createdAt: Date;
}

/** Locks an account: every other posting to the workspace waits until the transaction ends. */
export async function lockAccount(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT 1 FROM "CreditAccount" WHERE "workspaceId" = ${workspaceId} FOR UPDATE`;
}

/**
 * Expires grants whose time is over and updates what remains of each grant; see
 * `prisma/functions/settle_grants.sql`.
 */
export async function settleGrants(tx: Tx, workspaceId: string, at: Date): Promise<void> {
  await tx.$queryRaw`SELECT tollkeeper.settle_grants(${workspaceId}, ${at}::timestamptz)::text`;
}

/**
 * Changes an account in one guarded statement. Follow it with {@link writeEntry} in the same transaction.
 * @returns the account afterwards; null, with nothing written, where the available credits do not suffice or
 * the balance would exceed its maximum
 */
export async function moveCredits(tx: Tx, posting: Posting): Promise<Account | null> {
  const { workspaceId, credits, heldCredits = 0 } = posting;
  const [account] = await tx.$queryRaw<Account[]>`
    UPDATE "CreditAccount" SET "balance" = "balance" + ${credits}::int, "held" = "held" + ${heldCredits}::int
    WHERE "workspaceId" = ${workspaceId}
      AND "held"::bigint + ${heldCredits}::int >= 0
      AND "balance"::bigint + ${credits}::int >= "held"::bigint + ${heldCredits}::int
      AND "balance"::bigint + ${credits}::int <= ${creditsMax}
    RETURNING "balance", "held"`;
  return account ?? null;
}

/** Writes the entry of a movement. */
export function writeEntry(tx: Tx, posting: Posting, account: Account): Promise<LedgerEntry> {
  return tx.ledgerEntry.create({
    data: {
      workspaceId: posting.workspaceId,
      kind: posting.kind,
      credits: posting.credits,
      heldCredits: posting.heldCredits ?? 0,
      balanceAfter: account.balance,
      heldAfter: account.held,
      chargeId: posting.chargeId ?? null,
      apiKeyId: posting.apiKeyId ?? null,
      product: posting.product ?? null,
      action: posting.action ?? null,
      reason: posting.reason ?? null,
      createdAt: posting.createdAt,
    },
  });
}

/**
 * Moves credits and writes the entry.
 * @returns null, with nothing written, where {@link moveCredits} refuses
 */
export async function post(tx: Tx, posting: Posting): Promise<LedgerEntry | null> {
  const account = await moveCredits(tx, posting);
  return account && writeEntry(tx, posting, account);
}
