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
import { outageStates } from './outage.js';

/**
 * Prisma's way into PostgreSQL. It is @prisma/adapter-pg, with three things mended: a script is sent whole (7.10 cuts it
 * at every semicolon, also inside a trigger's body), a COMMIT of a failed transaction is an error (PostgreSQL rolls it
 * back and reports no error), and a lost connection always arrives as an error that Prisma has a code for.
 */
export function postgresqlAdapterFactory(pool: pg.Pool): ScriptAdapterFactory {
  const factory = new PrismaPg(pool);
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    connectToShadowDb: () => Promise.reject(new Error('No shadow database is made on a real PostgreSQL.')),
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
        cause: 'A statement of this transaction had failed, so it was rolled back and not committed.',
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

/** Without parameters pg speaks the simple protocol, which takes many statements and makes them one transaction. */
async function executeScriptOn(queryable: SqlQueryable, script: string): Promise<void> {
  await queryable.executeRaw({ sql: script, args: [], argTypes: [] }).catch(rethrowForPrisma);
}

/** What pg and its pool say in words only when a connection ends; none of these carries a code. */
const errorsByMessage: ReadonlyArray<readonly [pattern: RegExp, error: MappedError]> = [
  [
    /^timeout exceeded when trying to connect/,
    { kind: 'TooManyConnections', cause: 'No connection of the pool came free in time.' },
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
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const mapped = errorsByCode[code] ?? errorsByMessage.find(([pattern]) => pattern.test(error.message))?.[1];
  throw mapped ? new DriverAdapterError({ ...mapped, originalMessage: error.message }) : error;
}

/** As {@link rethrowForPrisma}, for a statement that goes past Prisma. @throws UnavailableError where the database is away; else the error as it is. */
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
