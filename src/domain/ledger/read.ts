import { type Keyset, readNestedPages } from '../../db/keyset.js';
import type { Db } from '../../db/transaction.js';
import { type LedgerEntry, Prisma } from '../../generated/prisma/client.js';
import type { Account } from './ledger.js';

/** A page of the ledger of each workspace. */
export function listEntriesOf(
  db: Db,
  workspaceIds: readonly string[],
  page: Keyset,
): Promise<Map<string, LedgerEntry[]>> {
  const rows = Prisma.sql`SELECT "id" FROM "LedgerEntry" WHERE "workspaceId" = p."id"`;
  return readNestedPages(db, rows, workspaceIds, page, (query) => db.ledgerEntry.findMany(query));
}

/** An account, and the number of available credits at which `credits.low` is published; null: never. */
export type AccountWithAlert = Account & { readonly lowAt: number | null };

/** The credit account of each workspace. Workspaces without an account are left out. */
export async function readAccountsOf(db: Db, workspaceIds: readonly string[]): Promise<Map<string, AccountWithAlert>> {
  const accounts = await db.creditAccount.findMany({ where: { workspaceId: { in: [...workspaceIds] } } });
  return new Map(accounts.map(({ workspaceId, balance, held, lowAt }) => [workspaceId, { balance, held, lowAt }]));
}
