import { PrismaClient } from '../generated/prisma/client.js';
import type { ScriptAdapterFactory, ScriptTransaction } from './adapter.js';

/** How long an interactive transaction waits to begin, and how long it may take once begun. */
const transactionOptions = { maxWait: 10_000, timeout: 15_000 };

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

/** PostgreSQL, somewhere. */
export interface PostgresqlOptions {
  databaseUrl: string;
  /** The most connections that this process holds; 10 unless told. */
  poolSizeMax?: number;
  /** Told of a connection that was lost while nobody used it. The pool replaces it by itself. */
  onConnectionLost?: (error: Error) => void;
}

/** The embedded database. */
export interface EmbeddedOptions {
  /** The folder of the embedded database; null keeps everything in memory, for tests. */
  dataDir: string | null;
  /** What PGlite's `dumpDataDir` gave: the database begins as that one was. In memory, or in a new folder. */
  snapshot?: Blob;
}

export function clientOn(adapter: ScriptAdapterFactory): PrismaClient {
  return new PrismaClient({ adapter, transactionOptions, errorFormat: 'minimal' });
}

/** Closing twice is closing once: signals and failures may both ask for it. */
export function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= close();
    return closing;
  };
}
