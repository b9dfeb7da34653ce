import { messages, type PGlite, type Transaction as PGliteTransaction, type types } from '@electric-sql/pglite';
import { DriverAdapterError, type IsolationLevel, type SqlQueryable } from '@prisma/driver-adapter-utils';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import type { ScriptAdapter, ScriptAdapterFactory, ScriptTransaction } from './adapter.js';

type Connection = PGlite | PGliteTransaction;
type Parsers = Record<number, types.Parser>;

const identity = { provider: 'postgres', adapterName: 'pglite-prisma-adapter' } as const;

/**
 * Connects Prisma to PGlite. pglite-prisma-adapter runs queries; scripts and transactions run here, because
 * version 0.7.2 does not wait for a script, and reports success for a COMMIT that failed.
 */
export function embeddedAdapterFactory(pglite: PGlite): ScriptAdapterFactory {
  const parsers = takeArrayParsers(pglite);
  return {
    ...identity,
    connect: () => embeddedAdapter(pglite, parsers),
    connectUntil: (signal) => {
      const query: Connection['query'] = async (sql, values, options) => {
        signal.throwIfAborted();
        return pglite.query(sql, values, options);
      };
      return queryableOn({ query }, parsers);
    },
    connectToShadowDb: () => Promise.reject(new Error('The embedded database has no shadow database.')),
  };
}

async function embeddedAdapter(pglite: PGlite, parsers: Parsers): Promise<ScriptAdapter> {
  return {
    ...identity,
    ...(await queryableOn(pglite, parsers)),
    executeScript: (script) => executeScriptOn(pglite, script),
    getConnectionInfo: () => ({ supportsRelationJoins: true }),
    startTransaction: (isolationLevel) => startTransaction(pglite, parsers, isolationLevel),
    dispose: () => Promise.resolve(),
  };
}

/**
 * Types of arrays of bool, int2, int4, text, bpchar, varchar, oid, inet and uuid, and of float4 and float8.
 */
const plainArrayTypes = [1000, 1005, 1007, 1009, 1014, 1015, 1028, 1041, 2951, 1021, 1022];

/**
 * PGlite copies its more than 300 parsers for each query that has parsers of its own, as each query of Prisma
 * does, which takes longer than most queries. Inherited parsers are found and not copied.
 * @returns the parsers of arrays, which then have to be among those of the query
 */
function takeArrayParsers(pglite: PGlite): Parsers {
  const all = pglite.parsers;
  pglite.parsers = Object.create(all) as Parsers;
  return Object.fromEntries(plainArrayTypes.flatMap((type) => (all[type] === undefined ? [] : [[type, all[type]]])));
}

async function queryableOn(
  connection: Pick<Connection, 'query'>,
  parsers: Parsers,
): Promise<Pick<SqlQueryable, 'queryRaw' | 'executeRaw'>> {
  // For these two the adapter calls only `query`, which a transaction of PGlite has too.
  const query: Connection['query'] = (sql, values, options) =>
    connection.query(sql, values, { ...options, parsers: { ...parsers, ...options?.parsers } });
  const adapter = await new PrismaPGlite({ query } as PGlite).connect();
  return { queryRaw: (query) => adapter.queryRaw(query), executeRaw: (query) => adapter.executeRaw(query) };
}

async function executeScriptOn(connection: Connection, script: string): Promise<void> {
  await connection.exec(script).catch(rethrowForPrisma);
}

/**
 * PGlite passes a transaction to a callback and commits when the callback returns; Prisma needs a handle. So
 * the callback waits for `ended`, which commit and rollback settle.
 */
async function startTransaction(
  pglite: PGlite,
  parsers: Parsers,
  isolationLevel?: IsolationLevel,
): Promise<ScriptTransaction> {
  const started = deferred<PGliteTransaction>();
  const ended = deferred<void>();
  const finished = pglite.transaction(async (transaction) => {
    if (isolationLevel) await transaction.exec(`SET TRANSACTION ISOLATION LEVEL ${isolationLevel}`);
    started.resolve(transaction);
    await ended.promise;
  });
  // A failure before the start rejects `started`; later ones are reported by commit and rollback.
  finished.catch(started.reject);

  const transaction = await started.promise.catch(rethrowForPrisma);
  const execute = (sql: string) => executeScriptOn(transaction, sql);
  return {
    ...identity,
    ...(await queryableOn(transaction, parsers)),
    options: { usePhantomQuery: true },
    executeScript: execute,
    async commit() {
      ended.resolve();
      await finished.catch(rethrowForPrisma);
    },
    async rollback() {
      try {
        await transaction.rollback().catch(rethrowForPrisma);
      } finally {
        ended.resolve();
      }
      await finished;
    },
    createSavepoint: (name) => execute(`SAVEPOINT ${name}`),
    rollbackToSavepoint: (name) => execute(`ROLLBACK TO SAVEPOINT ${name}`),
    releaseSavepoint: (name) => execute(`RELEASE SAVEPOINT ${name}`),
  };
}

function rethrowForPrisma(error: unknown): never {
  if (!(error instanceof messages.DatabaseError)) throw error;
  const code = error.code ?? 'N/A';
  throw new DriverAdapterError({
    kind: 'postgres',
    originalCode: code,
    originalMessage: error.message,
    code,
    severity: error.severity ?? 'ERROR',
    message: error.message,
    detail: error.detail,
    column: error.column,
    hint: error.hint,
  });
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
