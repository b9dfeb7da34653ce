import { messages, type PGlite, type Transaction as PGliteTransaction } from '@electric-sql/pglite';
import { DriverAdapterError, type IsolationLevel, type SqlQueryable } from '@prisma/driver-adapter-utils';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import type { ScriptAdapter, ScriptAdapterFactory, ScriptTransaction } from './adapter.js';

type Connection = PGlite | PGliteTransaction;

const identity = { provider: 'postgres', adapterName: 'pglite-prisma-adapter' } as const;

/**
 * Connects Prisma to PGlite. pglite-prisma-adapter runs queries; scripts and transactions run here, because
 * version 0.7.2 does not wait for a script, and reports success for a COMMIT that failed.
 */
export function embeddedAdapterFactory(pglite: PGlite): ScriptAdapterFactory {
  return {
    ...identity,
    connect: () => embeddedAdapter(pglite),
    connectToShadowDb: () => Promise.reject(new Error('The embedded database has no shadow database.')),
  };
}

async function embeddedAdapter(pglite: PGlite): Promise<ScriptAdapter> {
  return {
    ...identity,
    ...(await queryableOn(pglite)),
    executeScript: (script) => executeScriptOn(pglite, script),
    getConnectionInfo: () => ({ supportsRelationJoins: true }),
    startTransaction: (isolationLevel) => startTransaction(pglite, isolationLevel),
    dispose: () => Promise.resolve(),
  };
}

async function queryableOn(connection: Connection): Promise<Pick<SqlQueryable, 'queryRaw' | 'executeRaw'>> {
  // For these two the adapter calls only `query`, which a transaction of PGlite has too.
  const adapter = await new PrismaPGlite(connection as PGlite).connect();
  return { queryRaw: (query) => adapter.queryRaw(query), executeRaw: (query) => adapter.executeRaw(query) };
}

async function executeScriptOn(connection: Connection, script: string): Promise<void> {
  await connection.exec(script).catch(rethrowForPrisma);
}

/**
 * PGlite passes a transaction to a callback and commits when the callback returns; Prisma needs a handle. So
 * the callback waits for `ended`, which commit and rollback settle.
 */
async function startTransaction(pglite: PGlite, isolationLevel?: IsolationLevel): Promise<ScriptTransaction> {
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
    ...(await queryableOn(transaction)),
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
