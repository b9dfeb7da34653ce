import type { Db } from '../../db/transaction.js';
import { Prisma } from '../../generated/prisma/client.js';
import { type RefusalCode, type VerificationCode, verificationCodes } from '../../products/product.js';
import type { UsageBuckets } from './buckets.js';

/** What was asked in one hour, day or month. */
export interface UsageBucket {
  readonly startsAt: Date;
  /** All verifications, those refused included. */
  readonly requests: number;
  /** In the order of the checks; what did not happen is left out. */
  readonly refusals: readonly { readonly code: RefusalCode; readonly requests: number }[];
  /** Charges when they were made and holds when they were captured. Refunds are not taken off. */
  readonly credits: number;
}

/** Whose usage it is: that of one key, or of all keys of a workspace, deleted ones included. */
export type UsageOwner = 'apiKey' | 'workspace';

interface UsageRow {
  readonly ownerId: string;
  /** Milliseconds since 1970. */
  readonly startsAt: number;
  readonly code: VerificationCode;
  readonly requests: number;
  readonly credits: number;
}

/** The keys whose usage counts for each owner; deleted keys, too. */
const keysOf: Readonly<Record<UsageOwner, (ownerIds: readonly string[]) => Prisma.Sql>> = {
  apiKey: (ids) => Prisma.sql`SELECT id, id AS "ownerId" FROM unnest(${ids}::text[]) AS id`,
  workspace: (ids) =>
    Prisma.sql`SELECT "id", "workspaceId" AS "ownerId" FROM "ApiKey" WHERE "workspaceId" = ANY (${ids}::text[])`,
};

/**
 * The usage of several owners in one statement, with empty buckets where there was none. What the processes
 * have not written yet is not included.
 * @returns a function that returns the buckets of one owner, oldest first.
 */
export async function readUsage(
  db: Db,
  owner: UsageOwner,
  ownerIds: readonly string[],
  { size, starts, end }: UsageBuckets,
): Promise<(ownerId: string) => UsageBucket[]> {
  const unit = size.toLowerCase();
  // Sums of bigint are numeric; as doubles they are exact up to 2^53.
  const rows = await db.$queryRaw<UsageRow[]>`
    SELECT k."ownerId", extract(epoch FROM date_trunc(${unit}, u."hour", 'UTC'))::float8 * 1000 AS "startsAt", u."code",
      sum(u."requests")::float8 AS "requests", sum(u."credits")::float8 AS "credits"
    FROM (${keysOf[owner](ownerIds)}) k
    JOIN "KeyUsage" u ON u."apiKeyId" = k."id"
    WHERE u."hour" >= ${starts[0]}::timestamptz AND u."hour" < ${end}::timestamptz
    GROUP BY 1, 2, 3`;
  const rowsOf = new Map<string, UsageRow[]>();
  for (const row of rows) {
    const place = placeOf(row.ownerId, row.startsAt);
    rowsOf.set(place, [...(rowsOf.get(place) ?? []), row]);
  }
  return (ownerId) =>
    starts.map((startsAt) => bucketOf(startsAt, rowsOf.get(placeOf(ownerId, startsAt.getTime())) ?? []));
}

function placeOf(ownerId: string, startsAt: number): string {
  return `${ownerId} ${startsAt}`;
}

function bucketOf(startsAt: Date, rows: readonly UsageRow[]): UsageBucket {
  const refusals = rows.flatMap(({ code, requests }) => (code === 'VALID' ? [] : [{ code, requests }]));
  return {
    startsAt,
    requests: rows.reduce((sum, { requests }) => sum + requests, 0),
    refusals: refusals.sort((a, b) => verificationCodes.indexOf(a.code) - verificationCodes.indexOf(b.code)),
    credits: rows.reduce((sum, { credits }) => sum + credits, 0),
  };
}
