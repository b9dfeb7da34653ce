import { PrismaClient } from '../generated/prisma/client.js';
import type { ScriptAdapterFactory, ScriptTransaction } from './adapter.js';

/** How long an interactive transaction waits for its start, and how long it may run. */
const transactionOptions = { maxWait: 10_000, timeout: 15_000 };

/** A prepared statement: parsed and planned once per connection, under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Runs a statement without Prisma, for the few statements that every request waits for. */
export type RunStatement = <Row extends object>(statement: Statement, values: readonly unknown[]) => Promise<Row[]>;

/** The reads of one request. The caller that opened them closes them. */
export interface Reads {
  /** Only for reads. After the signal has aborted, each statement is refused with the signal's reason. */
  readonly db: PrismaClient;
  close(): void;
}

/**
 * Opens a client whose statements stop when the signal aborts: no further one starts, and on PostgreSQL the
 * running one ends within a second. A running statement of the embedded database cannot be interrupted.
 */
export type OpenReads = (signal: AbortSignal) => Promise<Reads>;

/** An open database. The caller that opened it closes it. */
export interface Database {
  readonly db: PrismaClient;
  readonly run: RunStatement;
  /** For queries, which stop when their client goes away or their time is up. */
  readonly openReads: OpenReads;
  readonly kind: 'embedded' | 'postgresql';
  /**
   * Runs `work` in one transaction while no other call of `exclusively` runs, in any process: on PostgreSQL
   * under an advisory lock on a separate connection, on PGlite on its only connection. For migrations.
   */
  exclusively<T>(work: (transaction: ScriptTransaction) => Promise<T>): Promise<T>;
  /** Dumps the embedded database to a file for `snapshot`. Only if `kind` is embedded. */
  dump?: () => Promise<Blob>;
  close(): Promise<void>;
}

/** A PostgreSQL server. */
export interface PostgresqlOptions {
  databaseUrl: string;
  /** Most connections of this process; 10 by default. */
  poolSizeMax?: number;
  /** Called when an idle connection is lost. The pool replaces it. */
  onConnectionLost?: (error: Error) => void;
}

/** The embedded database. */
export interface EmbeddedOptions {
  /** The folder of the embedded database; null keeps everything in memory, for tests. */
  dataDir: string | null;
  /** A dump of PGlite's `dumpDataDir` to start from, in memory or in a new folder. */
  snapshot?: Blob;
}

export function clientOn(adapter: ScriptAdapterFactory): PrismaClient {
  return new PrismaClient({ adapter, transactionOptions, errorFormat: 'minimal' });
}

/** Makes closing idempotent: a signal and a failure may both close. */
export function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= close();
    return closing;
  };
}
