import type {
  IsolationLevel,
  SqlDriverAdapter,
  SqlMigrationAwareDriverAdapterFactory,
  SqlQueryable,
  Transaction,
} from '@prisma/driver-adapter-utils';

/** A transaction that also runs scripts of several statements, such as migrations with functions. */
export interface ScriptTransaction extends Transaction {
  executeScript(script: string): Promise<void>;
}

/**
 * The connection that Prisma's client, the migrator and the schema engine use, on PGlite and on PostgreSQL.
 */
export interface ScriptAdapter extends SqlDriverAdapter {
  startTransaction(isolationLevel?: IsolationLevel): Promise<ScriptTransaction>;
}

export interface ScriptAdapterFactory extends SqlMigrationAwareDriverAdapterFactory {
  connect(): Promise<ScriptAdapter>;
  /** Runs statements until the signal aborts; then they are refused with its reason. See reads.ts. */
  connectUntil(signal: AbortSignal): Promise<Pick<SqlQueryable, 'queryRaw'>>;
}

const commit = { sql: 'COMMIT', args: [], argTypes: [] };
const rollback = { sql: 'ROLLBACK', args: [], argTypes: [] };

/**
 * Runs `work` in one transaction of the adapter, without Prisma's client: commits if `work` returns, else
 * rolls back.
 */
export async function inTransaction<T>(
  adapter: ScriptAdapter,
  work: (transaction: ScriptTransaction) => Promise<T>,
): Promise<T> {
  const transaction = await adapter.startTransaction();
  // PGlite's adapter sends COMMIT and ROLLBACK itself, that of pg leaves them to its caller.
  const isOurs = !transaction.options.usePhantomQuery;
  let result: T;
  try {
    result = await work(transaction);
    if (isOurs) await transaction.executeRaw(commit);
  } catch (error) {
    // The first error is reported. If the rollback fails too, the end of the connection rolls back.
    if (isOurs) await transaction.executeRaw(rollback).catch(() => undefined);
    await transaction.rollback().catch(() => undefined);
    throw error;
  }
  await transaction.commit();
  return result;
}

/** An adapter whose every statement runs in this transaction. */
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
