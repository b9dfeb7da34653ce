import { sharedDatabase } from '../harness.js';

let statement: string | undefined;

/**
 * What every table holds: how many rows, and a digest of them, so that a changed row shows like a new one. When and how much
 * keys are used is left out, and how often: both are written in the background.
 */
export async function readDatabaseState(): Promise<Record<string, { rows: number; digest: string | null }>> {
  const { db } = await sharedDatabase();
  statement ??= await composeStatement();
  const tables = await db.$queryRawUnsafe<{ name: string; rows: number; digest: string | null }[]>(statement);
  return Object.fromEntries(tables.map(({ name, rows, digest }) => [name, { rows, digest }]));
}

async function composeStatement(): Promise<string> {
  const { db } = await sharedDatabase();
  const tables = await db.$queryRaw<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'KeyUsage' ORDER BY 1`;
  return tables
    .map(
      ({ name }) => `
        SELECT '${name}' AS name, count(*)::int AS rows, md5(string_agg(row, '' ORDER BY row)) AS digest
        FROM (SELECT (to_jsonb(t) - 'lastUsedAt')::text AS row FROM "${name}" t) r`,
    )
    .join(' UNION ALL ');
}
