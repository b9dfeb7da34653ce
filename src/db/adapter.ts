import type {
  IsolationLevel,
  SqlDriverAdapter,
  SqlMigrationAwareDriverAdapterFactory,
  Transaction,
} from '@prisma/driver-adapter-utils';

/** A transaction that can also run a script of many statements, dollar-quoted bodies and all, as a migration needs. */
export interface ScriptTransaction extends Transaction {
  executeScript(script: string): Promise<void>;
}

/** What Prisma's client and the schema engine both speak to, on PGlite and on PostgreSQL alike. */
export interface ScriptAdapter extends SqlDriverAdapter {
  startTransaction(isolationLevel?: IsolationLevel): Promise<ScriptTransaction>;
}

export interface ScriptAdapterFactory extends SqlMigrationAwareDriverAdapterFactory {
  connect(): Promise<ScriptAdapter>;
}

const commit = { sql: 'COMMIT', args: [], argTypes: [] };
const rollback = { sql: 'ROLLBACK', args: [], argTypes: [] };

/** Runs `work` in one transaction of the adapter, below Prisma: it commits when `work` returns, else rolls back. */
export async function inTransaction<T>(
  adapter: ScriptAdapter,
  work: (transaction: ScriptTransaction) => Promise<T>,
): Promise<T> {
  const transaction = await adapter.startTransaction();
  // The adapters differ in who says COMMIT: PGlite's says it itself, that of pg leaves it to its caller.
  const spoken = !transaction.options.usePhantomQuery;
  let result: T;
  try {
    result = await work(transaction);
    if (spoken) await transaction.executeRaw(commit);
  } catch (error) {
    // The first failure is the one to report; a rollback that fails too ends with the connection.
    if (spoken) await transaction.executeRaw(rollback).catch(() => undefined);
    await transaction.rollback().catch(() => undefined);
    throw error;
  }
  await transaction.commit();
  return result;
}

/** A transaction in the clothes of an adapter, for an engine that must not leave it. */
export function adapterWithin(transaction: ScriptTransaction): SqlDriverAdapter {
  return {
    provider: transaction.provider,
    adapterName: transaction.adapterName,
    queryRaw: (query) => transaction.queryRaw(query),
    executeRaw: (query) => transaction.executeRaw(query),
    executeScript: (script) => transaction.executeScript(script),
    getConnectionInfo: () => ({ supportsRelationJoins: true }),
    startTransaction: () => Promise.reject(new Error('A transaction is already open on this connection.')),
    dispose: () => Promise.resolve(),
  };
}
