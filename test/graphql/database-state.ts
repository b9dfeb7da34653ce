import { sharedDatabase } from '../harness.js';

/** The number of rows of a table and a sum of the ids of their transactions. Any write changes it. */
interface TableState {
  readonly rows: number;
  readonly writers: string;
}

let statement: string | undefined;

/** The state of every table. Two equal states mean that nothing was written in between. */
export async function readDatabaseState(): Promise<Record<string, TableState>> {
  const { db } = await sharedDatabase();
  statement ??= await composeStatement();
  const tables = await db.$queryRawUnsafe<(TableState & { name: string })[]>(statement);
  return Object.fromEntries(tables.map(({ name, ...state }) => [name, state]));
}

/** Tables and columns written in the background: usage of keys, last use of secrets, refused attempts. */
const counters = ['KeyUsage', 'AuthenticationFailure', 'AuditChain'];
const touched = ['KeySecret'];
const conditions: Readonly<Record<string, string>> = { AuditEvent: 'WHERE NOT "refused"' };

async function composeStatement(): Promise<string> {
  const { db } = await sharedDatabase();
  const tables = await db.$queryRaw<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`;
  return tables
    .filter(({ name }) => !counters.includes(name))
    .map(({ name }) => {
      const writers = touched.includes(name) ? "''" : 'coalesce(sum(xmin::text::bigint), 0)::text';
      return `SELECT '${name}' AS name, count(*)::int AS rows, ${writers} AS writers FROM "${name}" ${conditions[name] ?? ''}`;
    })
    .join(' UNION ALL ');
}
