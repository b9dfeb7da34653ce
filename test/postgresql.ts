import pg from 'pg';

/** The address of another database on the same server. */
export function withDatabase(url: string, database: string): string {
  const address = new URL(url);
  address.pathname = `/${database}`;
  return address.href;
}

/** Runs one statement outside a transaction, as CREATE DATABASE and DROP DATABASE require. */
export async function runOnServer(
  serverUrl: string,
  statement: string,
  values: string[] = [],
): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: serverUrl, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    return await client.query(statement, values);
  } catch (error) {
    throw new Error(
      `DATABASE_URL is set, so the tests want that PostgreSQL, and it failed at: ${statement}. Start it, or unset DATABASE_URL to test on the embedded database.`,
      { cause: error },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await runOnServer(serverUrl, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
}

/** Drops every database whose name begins with `prefix`. */
export async function dropDatabases(serverUrl: string, prefix: string): Promise<void> {
  const { rows } = await runOnServer(serverUrl, 'SELECT datname FROM pg_database WHERE starts_with(datname, $1)', [
    prefix,
  ]);
  for (const { datname } of rows) await dropDatabase(serverUrl, datname);
}
