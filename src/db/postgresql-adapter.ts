import { PrismaPg } from '@prisma/adapter-pg';
import {
  DriverAdapterError,
  isDriverAdapterError,
  type MappedError,
  type SqlQuery,
  type SqlQueryable,
  type Transaction,
} from '@prisma/driver-adapter-utils';
import pg from 'pg';
import { UnavailableError } from '../errors.js';
import type { ScriptAdapter, ScriptAdapterFactory, ScriptTransaction } from './adapter.js';
import { codeOf, outageStates } from './error-codes.js';

/**
 * Connects Prisma to PostgreSQL: @prisma/adapter-pg with three corrections. A script is sent whole (7.10
 * splits it at every semicolon, also inside a function's body). A COMMIT of a failed transaction is an error
 * (PostgreSQL rolls back and reports success). A lost connection is always an error for which Prisma has a
 * code.
 */
export function postgresqlAdapterFactory(pool: pg.Pool): ScriptAdapterFactory {
  const factory = new PrismaPg(pool);
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    connectToShadowDb: () => Promise.reject(new Error('A shadow database is not supported.')),
    async connectUntil(signal) {
      return queryableOn(await new PrismaPg(poolUntil(pool, signal)).connect());
    },
    async connect(): Promise<ScriptAdapter> {
      const adapter = await factory.connect();
      return {
        provider: adapter.provider,
        adapterName: adapter.adapterName,
        ...queryableOn(adapter),
        executeScript: (script) => executeScriptOn(adapter, script),
        getConnectionInfo: () => adapter.getConnectionInfo(),
        dispose: () => adapter.dispose(),
        startTransaction: async (isolationLevel) =>
          guardCommit(await adapter.startTransaction(isolationLevel).catch(rethrowForPrisma)),
      };
    },
  };
}

/** The same pool, for statements that stop when the signal aborts. */
function poolUntil(pool: pg.Pool, signal: AbortSignal): pg.Pool {
  const query = (config: pg.QueryConfig) => queryUntil(pool, signal, config);
  // The adapter would add a listener to the pool for each request.
  const view: pg.Pool = Object.create(pool, { query: { value: query }, on: { value: () => view } });
  return view;
}

/**
 * Runs a statement. If the signal aborts meanwhile, the connection is closed, and PostgreSQL ends the
 * statement when it notices (`client_connection_check_interval`). A cancel request would need a connection of
 * its own, and could arrive when the connection runs the statement of another request.
 */
async function queryUntil(pool: pg.Pool, signal: AbortSignal, config: pg.QueryConfig): Promise<pg.QueryResult> {
  signal.throwIfAborted();
  const client = await pool.connect();
  let isReleased = false;
  const release = (closes: boolean) => {
    if (isReleased) return;
    isReleased = true;
    client.release(closes);
  };
  const abort = () => release(true);
  signal.addEventListener('abort', abort, { once: true });
  try {
    // It may have aborted while this waited for a connection.
    signal.throwIfAborted();
    return await client.query(config);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', abort);
    release(false);
  }
}

function guardCommit(transaction: Transaction): ScriptTransaction {
  let failed = false;
  const noteFailure = (error: unknown): never => {
    failed = true;
    throw error;
  };
  const { queryRaw, executeRaw } = queryableOn(transaction);

  async function execute(query: SqlQuery): Promise<number> {
    if (failed && query.sql === 'COMMIT') {
      await executeRaw({ ...query, sql: 'ROLLBACK' });
      throw new DriverAdapterError({
        kind: 'TransactionAlreadyClosed',
        cause: 'A statement of this transaction failed, so the transaction was rolled back.',
      });
    }
    const count = await executeRaw(query).catch(noteFailure);
    if (/^\s*ROLLBACK\s+TO\b/i.test(query.sql)) failed = false;
    return count;
  }

  const run = async (sql: string) => {
    await execute({ sql, args: [], argTypes: [] });
  };
  return {
    provider: transaction.provider,
    adapterName: transaction.adapterName,
    options: transaction.options,
    queryRaw: (query) => queryRaw(query).catch(noteFailure),
    executeRaw: execute,
    executeScript: run,
    commit: () => transaction.commit(),
    rollback: () => transaction.rollback(),
    createSavepoint: (name) => run(`SAVEPOINT ${name}`),
    rollbackToSavepoint: (name) => run(`ROLLBACK TO SAVEPOINT ${name}`),
    releaseSavepoint: (name) => run(`RELEASE SAVEPOINT ${name}`),
  };
}

function queryableOn(queryable: SqlQueryable): Pick<SqlQueryable, 'queryRaw' | 'executeRaw'> {
  return {
    queryRaw: (query) => queryable.queryRaw(query).catch(rethrowForPrisma),
    executeRaw: (query) => queryable.executeRaw(query).catch(rethrowForPrisma),
  };
}

/**
 * Without parameters pg uses the simple protocol, which accepts several statements and runs them in one
 * transaction.
 */
async function executeScriptOn(queryable: SqlQueryable, script: string): Promise<void> {
  await queryable.executeRaw({ sql: script, args: [], argTypes: [] }).catch(rethrowForPrisma);
}

/** Errors of pg and its pool about connections. They have no code and no class, only a message. */
const errorsByMessage: ReadonlyArray<readonly [pattern: RegExp, error: MappedError]> = [
  [
    /^timeout exceeded when trying to connect/,
    { kind: 'TooManyConnections', cause: 'No connection of the pool became free in time.' },
  ],
  [/^Connection terminated due to connection timeout/, { kind: 'DatabaseNotReachable' }],
  [
    /^(Connection terminated|Connection ended|Client was closed|Client has encountered a connection error)/,
    { kind: 'ConnectionClosed' },
  ],
  [/^Cannot use a pool after calling end/, { kind: 'ConnectionClosed' }],
];

const errorsByCode: Readonly<Record<string, MappedError>> = {
  EAI_AGAIN: { kind: 'DatabaseNotReachable' },
  ECONNABORTED: { kind: 'ConnectionClosed' },
  ECONNREFUSED: { kind: 'DatabaseNotReachable' },
  ECONNRESET: { kind: 'ConnectionClosed' },
  EHOSTUNREACH: { kind: 'DatabaseNotReachable' },
  ENETUNREACH: { kind: 'DatabaseNotReachable' },
  ENOENT: { kind: 'DatabaseNotReachable' },
  ENOTFOUND: { kind: 'DatabaseNotReachable' },
  EPIPE: { kind: 'ConnectionClosed' },
  ETIMEDOUT: { kind: 'SocketTimeout' },
};

function rethrowForPrisma(error: unknown): never {
  if (!(error instanceof Error) || isDriverAdapterError(error)) throw error;
  const mapped = errorsByCode[codeOf(error)] ?? errorsByMessage.find(([pattern]) => pattern.test(error.message))?.[1];
  throw mapped ? new DriverAdapterError({ ...mapped, originalMessage: error.message }) : error;
}

/**
 * For statements that run without Prisma.
 * @throws UnavailableError if the database cannot be reached, else the error itself.
 */
export function rethrowOutage(error: unknown): never {
  if (error instanceof pg.DatabaseError && outageStates.test(error.code ?? '')) {
    throw new UnavailableError(undefined, { cause: error });
  }
  try {
    return rethrowForPrisma(error);
  } catch (mapped) {
    throw isDriverAdapterError(mapped) ? new UnavailableError(undefined, { cause: error }) : mapped;
  }
}
