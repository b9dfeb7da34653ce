import pg from 'pg';
import { inTransaction } from './adapter.js';
import { clientOn, type Database, once, type PostgresqlOptions, type Statement } from './database.js';
import { postgresqlAdapterFactory, rethrowOutage } from './postgresql-adapter.js';
import { reachPostgresql } from './reach.js';
import { createReads } from './reads.js';

/** How long a request waits for a connection. Shorter than `maxWait`, so that the error is the pool's. */
const connectionTimeoutMs = 5_000;

/** Limit of a statement, shorter than that of its transaction. */
const statementTimeoutMs = 12_000;

/** Longer than Prisma lets a transaction run: an idle transaction of this age has lost its process. */
const idleInTransactionTimeoutMs = 20_000;

/**
 * Longer than any statement may run: a connection that is silent for this long is lost, even if TCP has not
 * noticed.
 */
const silentSocketTimeoutMs = 15_000;

const idleConnectionTimeoutMs = 10_000;

/** How often PostgreSQL checks during a statement whether this process still waits for it. */
const lostClientCheckMs = 500;

/** A migration may rewrite a large table, and may wait for another process that migrates. */
const migrationStatementTimeoutMs = 30 * 60_000;
const migrationLockTimeoutMs = 60_000;

/** The key of Prisma's lock for migrations: it excludes `prisma migrate deploy` too. */
const migrationLockKey = 72_707_369;

const poolSizeDefault = 10;

/** Opens a pool of connections. @throws StartError if the server cannot be reached. */
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
  // Without a listener, the loss of an idle connection would end this process.
  pool.on('error', (error) => options.onConnectionLost?.(error));

  const factory = postgresqlAdapterFactory(pool);
  const db = clientOn(factory);
  const reads = createReads(factory, clientOn);
  return {
    db,
    run: async <Row extends object>({ name, text }: Statement, values: readonly unknown[]) =>
      (await pool.query<Row>({ name, text, values: [...values] }).catch(rethrowOutage)).rows,
    openReads: reads.open,
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
      await reads.close();
      await db.$disconnect();
      await pool.end();
    }),
  };
}

/**
 * Sets what the server's configuration must not change: the adapters read times as UTC, and every wait has a
 * limit. It is sent after connecting and not in the start-up packet, because poolers refuse unknown
 * parameters there.
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
  // Before PostgreSQL 14, and on systems that cannot check it, such a statement runs until its timeout.
  await client.query(`SET client_connection_check_interval = ${lostClientCheckMs}`).catch(() => undefined);
}

/** Closes a connection that the server has ended, so that the pool does not hand it out. */
function endWhenDead(client: pg.Client, silentTimeout: number): void {
  const { connection } = client;
  // The pool does not listen all the time, and an error without a listener would end this process.
  client.on('error', () => undefined);
  connection.stream.once('timeout', () => connection.stream.destroy());
  if ('setTimeout' in connection.stream && typeof connection.stream.setTimeout === 'function') {
    connection.stream.setTimeout(silentTimeout);
  }
  // After FATAL the server closes the socket, but the next query may come before that.
  connection.on('errorMessage', (message: { severity?: string }) => {
    if (message.severity === 'FATAL') client.end().catch(() => undefined);
  });
}
