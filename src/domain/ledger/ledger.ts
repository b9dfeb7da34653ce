import type { Tx } from '../../db/transaction.js';
import type { LedgerEntry } from '../../generated/prisma/client.js';
import type { LedgerEntryKind } from '../../generated/prisma/enums.js';
import { creditsMax } from '../access/input.js';

export interface Account {
  /** All credits, including held credits. */
  readonly balance: number;
  /** Credits reserved by holds. */
  readonly held: number;
}

/** A ledger entry to write. Amounts are signed: a charge is negative. */
export interface Posting {
  readonly workspaceId: string;
  readonly kind: LedgerEntryKind;
  /** Change of the balance. */
  readonly credits: number;
  /** Change of the held credits. */
  readonly heldCredits?: number;
  readonly chargeId?: string | null;
  readonly apiKeyId?: string | null;
  readonly product?: string | null;
  readonly action?: string | null;
  readonly reason?: string | null;
  readonly createdAt: Date;
}

/** Locks an account: other postings to the workspace wait until the transaction ends. */
export async function lockAccount(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT 1 FROM "CreditAccount" WHERE "workspaceId" = ${workspaceId} FOR UPDATE`;
}

/**
 * Expires grants and updates the remaining credits of each grant; see `prisma/functions/settle_grants.sql`.
 */
export async function settleGrants(tx: Tx, workspaceId: string, at: Date): Promise<void> {
  await tx.$queryRaw`SELECT tollkeeper.settle_grants(${workspaceId}, ${at}::timestamptz)::text`;
}

/**
 * Changes an account in one guarded statement. Follow it with {@link writeEntry} in the same transaction.
 * @returns the account after the change; null, with nothing written, if the available credits are
 * insufficient or the balance would exceed its maximum
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

/** Writes the ledger entry of a change. */
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
 * Changes an account and writes the ledger entry.
 * @returns null, with nothing written, if {@link moveCredits} refuses
 */
export async function post(tx: Tx, posting: Posting): Promise<LedgerEntry | null> {
  const account = await moveCredits(tx, posting);
  return account && writeEntry(tx, posting, account);
}
