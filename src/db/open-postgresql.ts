import pg from 'pg';
import { inTransaction } from './adapter.js';
import { clientOn, type Database, once, type PostgresqlOptions, type Statement } from './database.js';
import { postgresqlAdapterFactory, rethrowOutage } from './postgresql-adapter.js';
import { reachPostgresql } from './reach.js';

/** How long a request waits for a connection, new or from the pool. Shorter than `maxWait`, so that the pool's own words arrive. */
const connectionTimeoutMs = 5_000;

/** A statement of a request is cut off before its transaction is. */
const statementTimeoutMs = 12_000;

/** A transaction that says nothing for longer than Prisma lets it live is one whose process is gone. */
const idleInTransactionTimeoutMs = 20_000;

/** A connection that is silent for longer than any statement may run is dead, whatever TCP believes. */
const silentSocketTimeoutMs = 15_000;

const idleConnectionTimeoutMs = 10_000;

/** A migration may rewrite a large table, and may wait for others that migrate; both have an end. */
const migrationStatementTimeoutMs = 30 * 60_000;
const migrationLockTimeoutMs = 60_000;

/** The key of Prisma's own lock around migrations, so that `prisma migrate deploy` is excluded too. */
const migrationLockKey = 72_707_369;

const poolSizeDefault = 10;

/** Opens a pool of connections. @throws StartError where the server cannot be reached. */
export async function openPostgresql(options: PostgresqlOptions): Promise<Database> {
  const connection = { connectionString: options.databaseUrl, keepAlive: true, application_name: 'tollkeeper' };
  await reachPostgresql(connection);

  const pool = new pg.Pool({
    ...connection,
    max: options.poolSizeMax ?? poolSizeDefault,
    connectionTimeoutMillis: connectionTimeoutMs,
    idleTimeoutMillis: idleConnectionTimeoutMs,
    onConnect: (client) => prepareConnection(client, statementTimeoutMs, silentSocketTimeoutMs),
  });
  // Without a listener, an idle connection that PostgreSQL ends would end this process.
  pool.on('error', (error) => options.onConnectionLost?.(error));

  const db = clientOn(postgresqlAdapterFactory(pool));
  return {
    db,
    run: async <Row extends object>({ name, text }: Statement, values: readonly unknown[]) =>
      (await pool.query<Row>({ name, text, values: [...values] }).catch(rethrowOutage)).rows,
    kind: 'postgresql',
    async exclusively(work) {
      const own = new pg.Pool({
        ...connection,
        max: 1,
        connectionTimeoutMillis: connectionTimeoutMs,
        onConnect: (client) => prepareConnection(client, migrationStatementTimeoutMs, migrationStatementTimeoutMs),
      });
      own.on('error', () => undefined);
      try {
        const adapter = await postgresqlAdapterFactory(own).connect();
        return await inTransaction(adapter, async (transaction) => {
          await transaction.executeScript(
            `SET LOCAL lock_timeout = ${migrationLockTimeoutMs}; SELECT pg_advisory_xact_lock(${migrationLockKey})`,
          );
          return await work(transaction);
        });
      } finally {
        await own.end();
      }
    },
    close: once(async () => {
      await db.$disconnect();
      await pool.end();
    }),
  };
}

/**
 * Settles what a session must agree on, whatever the server's own settings: the adapters read times as UTC, and every
 * wait has a limit. It is said after connecting, not in the start-up packet, since poolers refuse what they do not know there.
 */
async function prepareConnection(
  client: pg.ClientBase,
  statementTimeout: number,
  silentTimeout: number,
): Promise<void> {
  if (client instanceof pg.Client) endWhenDead(client, silentTimeout);
  await client.query(
    `SET TIME ZONE 'UTC'; SET DateStyle = 'ISO'; SET statement_timeout = ${statementTimeout};
     SET idle_in_transaction_session_timeout = ${Math.max(idleInTransactionTimeoutMs, statementTimeout)}`,
  );
}

/** So that the pool never hands out a connection that has ended on the other side. */
function endWhenDead(client: pg.Client, silentTimeout: number): void {
  const { connection } = client;
  // Between the pool's own listeners there are gaps, and an error that nobody hears would end this process.
  client.on('error', () => undefined);
  connection.stream.once('timeout', () => connection.stream.destroy());
  if ('setTimeout' in connection.stream && typeof connection.stream.setTimeout === 'function') {
    connection.stream.setTimeout(silentTimeout);
  }
  // FATAL is the last word of a session; the socket's end follows it, but the next query may come between.
  connection.on('errorMessage', (message: { severity?: string }) => {
    if (message.severity === 'FATAL') client.end().catch(() => undefined);
  });
}
