import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { PrismaClient } from '../generated/prisma/client.js';
import { StartError } from '../start-error.js';
import { inTransaction, type ScriptAdapterFactory, type ScriptTransaction } from './adapter.js';
import { embeddedAdapterFactory } from './embedded-adapter.js';
import { lockDataDir } from './lock.js';
import { postgresqlAdapterFactory, rethrowOutage } from './postgresql-adapter.js';
import { reachPostgresql } from './reach.js';

/** How long an interactive transaction waits to begin, and how long it may take once begun. */
const transactionOptions = { maxWait: 10_000, timeout: 15_000 };

/** How long a request waits for a connection, new or from the pool. Shorter than `maxWait`, so that the pool's own words arrive. */
const connectionTimeoutMs = 5_000;

/** A statement of a request is cut off before its transaction is. */
const statementTimeoutMs = 12_000;

/** A transaction that says nothing for longer than Prisma lets it live is one whose process is gone. */
const idleInTransactionTimeoutMs = 20_000;

/** A connection that is silent for longer than any statement may run is dead, whatever TCP believes. */
const silentSocketTimeoutMs = 30_000;

const idleConnectionTimeoutMs = 10_000;

/** A migration may rewrite a large table, and may wait for others that migrate; both have an end. */
const migrationStatementTimeoutMs = 30 * 60_000;
const migrationLockTimeoutMs = 60_000;

/** The key of Prisma's own lock around migrations, so that `prisma migrate deploy` is excluded too. */
const migrationLockKey = 72_707_369;

const poolSizeDefault = 10;

export type OpenOptions =
  | {
      databaseUrl: string;
      /** The most connections that this process holds; 10 unless told. */
      poolSizeMax?: number;
      /** Told of a connection that was lost while nobody used it. The pool replaces it by itself. */
      onConnectionLost?: (error: Error) => void;
    }
  | {
      /** The folder of the embedded database; null keeps everything in memory, for tests. */
      dataDir: string | null;
      /** What PGlite's `dumpDataDir` gave: the database begins as that one was. In memory, or in a new folder. */
      snapshot?: Blob;
    };

/** A statement that is sent again and again: it is parsed and planned once per connection, under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Runs a statement without Prisma in between, for the few that every request waits for. */
export type RunStatement = <Row extends object>(statement: Statement, values: readonly unknown[]) => Promise<Row[]>;

/** An open database. Whoever opened it closes it. */
export interface Database {
  readonly db: PrismaClient;
  readonly run: RunStatement;
  readonly kind: 'embedded' | 'postgresql';
  /**
   * Runs `work` in one transaction that excludes every other call of `exclusively`, in every process: on PostgreSQL
   * under an advisory lock on a connection of its own, on PGlite by its only connection. Meant for migrations.
   */
  exclusively<T>(work: (transaction: ScriptTransaction) => Promise<T>): Promise<T>;
  /** The embedded database as a file that `snapshot` takes. Only where `kind` is embedded. */
  dump?: () => Promise<Blob>;
  close(): Promise<void>;
}

/**
 * Opens PostgreSQL, or the embedded PGlite under the lock of its folder. It does not migrate.
 * @throws StartError where the database cannot be reached or the folder is in use.
 */
export function openDatabase(options: OpenOptions): Promise<Database> {
  return 'databaseUrl' in options ? openPostgresql(options) : openEmbedded(options);
}

async function openPostgresql(options: Extract<OpenOptions, { databaseUrl: string }>): Promise<Database> {
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

async function openEmbedded({
  dataDir,
  snapshot,
}: Extract<OpenOptions, { dataDir: string | null }>): Promise<Database> {
  const release = dataDir === null ? async () => undefined : await lockDataDir(dataDir);
  try {
    const pglite = await openPGlite(dataDir, snapshot);
    const factory = embeddedAdapterFactory(pglite);
    const db = clientOn(factory);
    return {
      db,
      run: async <Row extends object>({ text }: Statement, values: readonly unknown[]) =>
        (await pglite.query<Row>(text, [...values])).rows,
      kind: 'embedded',
      exclusively: async (work) => inTransaction(await factory.connect(), work),
      dump: () => pglite.dumpDataDir('none'),
      close: once(async () => {
        await db.$disconnect();
        await pglite.close();
        await release();
      }),
    };
  } catch (error) {
    await release();
    throw error;
  }
}

async function openPGlite(dataDir: string | null, snapshot: Blob | undefined): Promise<PGlite> {
  try {
    return await PGlite.create({
      ...(dataDir === null ? {} : { dataDir: join(dataDir, 'database') }),
      ...(snapshot === undefined ? {} : { loadDataDir: snapshot }),
    });
  } catch (error) {
    if (dataDir === null) throw error;
    throw new StartError(
      `The embedded database in ${dataDir} cannot be opened (${error instanceof Error ? error.message : String(error)}). ` +
        'Check that this user may write there and that the disk has room; else restore the folder from a copy, or set TOLLKEEPER_DATA_DIR to another one.',
      { cause: error },
    );
  }
}

function clientOn(adapter: ScriptAdapterFactory): PrismaClient {
  return new PrismaClient({ adapter, transactionOptions, errorFormat: 'minimal' });
}

/** Closing twice is closing once: signals and failures may both ask for it. */
function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= close();
    return closing;
  };
}
