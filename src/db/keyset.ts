import { Prisma } from '../generated/prisma/client.js';
import type { Db } from './transaction.js';

/**
 * A page of a list. Lists are newest first, and ids sort by time, so a page is bounded by ids and not by
 * offsets.
 */
export interface Keyset {
  /** Only what is older than this id. */
  readonly after?: string | undefined;
  /** Only what is newer than this id. */
  readonly before?: string | undefined;
  /** The most rows. */
  readonly limit: number;
  /** Whether the page is read from the oldest row on. */
  readonly inverted: boolean;
}

/** A page of the rows that match a Prisma filter. */
export function toPrismaPage<Where extends object>({ after, before, limit, inverted }: Keyset, where: Where) {
  const bounds = { id: { ...(after !== undefined && { lt: after }), ...(before !== undefined && { gt: before }) } };
  return {
    where: { AND: [where, bounds] },
    orderBy: { id: inverted ? ('asc' as const) : ('desc' as const) },
    take: limit,
  };
}

/**
 * The same page under each of many parents, in two statements. Prisma would read every row under every parent
 * and cut afterwards; a lateral join reads one page of each from the index.
 * @param rowsOfParent selects `"id"` of the rows under the parent `p."id"`; its last part is a condition
 * @returns the rows by the id of their parent; parents without rows are left out
 */
export async function readNestedPages<Row extends { readonly id: string }>(
  db: Db,
  rowsOfParent: Prisma.Sql,
  parentIds: readonly string[],
  { after, before, limit, inverted }: Keyset,
  findRows: (query: { where: { id: { in: string[] } } }) => Promise<Row[]>,
): Promise<Map<string, Row[]>> {
  const older = after === undefined ? Prisma.empty : Prisma.sql`AND "id" < ${after}`;
  const newer = before === undefined ? Prisma.empty : Prisma.sql`AND "id" > ${before}`;
  const order = inverted ? Prisma.sql`ORDER BY "id" ASC` : Prisma.sql`ORDER BY "id" DESC`;
  const found = await db.$queryRaw<{ parentId: string; id: string }[]>`
    SELECT p."id" AS "parentId", r."id" FROM unnest(${[...parentIds]}::text[]) AS p("id")
    CROSS JOIN LATERAL (${rowsOfParent} ${older} ${newer} ${order} LIMIT ${limit}) r`;
  const rows = await findRows({ where: { id: { in: found.map(({ id }) => id) } } });
  const rowById = new Map(rows.map((row) => [row.id, row]));
  const pages = new Map<string, Row[]>();
  for (const { parentId, id } of found) {
    const row = rowById.get(id);
    if (row === undefined) continue;
    const page = pages.get(parentId);
    if (page === undefined) pages.set(parentId, [row]);
    else page.push(row);
  }
  return pages;
}
