import type { SqlQueryable } from '@prisma/driver-adapter-utils';
import { StartError } from '../errors.js';
import { adapterWithin, type ScriptTransaction } from './adapter.js';
import type { Database } from './database.js';
import { listMigrations, type Migration, noFilters, schemaEngineOn, toMigrationList } from './schema-engine.js';

/**
 * Brings the database to this version's schema. Each migration and its line in Prisma's own `_prisma_migrations` are one
 * transaction, which excludes other processes: however many start at once, and whenever one is killed, a migration is
 * applied whole and once, and `prisma migrate deploy` can take over. A migration therefore holds nothing that refuses to
 * run in a transaction, such as CREATE INDEX CONCURRENTLY.
 * @returns the names of the migrations that this call applied.
 * @throws StartError where one fails; it then has left nothing behind.
 */
export async function migrate(database: Database, migrations?: readonly Migration[]): Promise<string[]> {
  const all = migrations ?? (await listMigrations());
  const applied: string[] = [];
  for (;;) {
    const name = await database.exclusively((transaction) => applyNext(transaction, all)).catch(explain);
    if (name === null) return applied;
    applied.push(name);
  }
}

/** The names of the migrations that this version brings along and the database has not, oldest first. */
export async function pendingMigrations(database: Database): Promise<string[]> {
  const all = await listMigrations();
  const pending = await database.exclusively((transaction) => listPending(transaction, all)).catch(explain);
  return pending.map(({ name }) => name);
}

/**
 * For a start that must not migrate by itself.
 * @throws StartError where the database is behind this version.
 */
export async function requireMigrated(database: Database): Promise<void> {
  const pending = await pendingMigrations(database);
  if (pending.length === 0) return;
  throw new StartError(
    `The database is behind this version by ${pending.length} of its migrations (${pending.join(', ')}), and TOLLKEEPER_MIGRATE is false. Start one process with TOLLKEEPER_MIGRATE=true; it applies them once.`,
  );
}

async function applyNext(transaction: ScriptTransaction, all: readonly Migration[]): Promise<string | null> {
  const [next] = await listPending(transaction, all);
  if (next === undefined) return null;

  // The engine goes on to write its log after a script failed, in a transaction that is then lost: its error would be
  // about the log. What the script itself said is the one to report.
  let scriptFailure: unknown;
  const connection = {
    ...adapterWithin(transaction),
    executeScript: (script: string) =>
      transaction.executeScript(script).catch((error: unknown) => {
        scriptFailure = error;
        throw error;
      }),
  };
  const upToNext = all.filter(({ name }) => name <= next.name);
  const engine = await schemaEngineOn(connection);
  try {
    await engine.applyMigrations({ migrationsList: toMigrationList(upToNext), filters: noFilters });
  } catch (error) {
    throw failureOf(next, scriptFailure ?? error);
  } finally {
    engine.free();
  }
  return next.name;
}

async function listPending(queryable: SqlQueryable, all: readonly Migration[]): Promise<Migration[]> {
  const done = await listDone(queryable);
  return all.filter(({ name }) => !done.has(name));
}

async function listDone(queryable: SqlQueryable): Promise<Set<unknown>> {
  const table = await queryable.queryRaw(plain(`SELECT to_regclass('_prisma_migrations')::text`));
  if (table.rows[0]?.[0] === null) return new Set();
  const done = await queryable.queryRaw(
    plain('SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL'),
  );
  return new Set(done.rows.map(([name]) => name));
}

function plain(sql: string) {
  return { sql, args: [], argTypes: [] };
}

function failureOf({ name }: Migration, cause: unknown): StartError {
  return new StartError(
    `The migration ${name} failed (${messageOf(cause)}). It was undone; mend what it names, or restore a copy of the database, and start again.`,
    { cause },
  );
}

function explain(error: unknown): never {
  if (error instanceof StartError) throw error;
  throw new StartError(
    `The database could not be migrated (${messageOf(error)}). If another process migrates it just now, wait for that one; else check that the user of DATABASE_URL may create tables, and start again.`,
    { cause: error },
  );
}

/** On one line, and without the frames of the engine's own code, which begin with their number. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split(/\n\s*0: /, 1)[0] ?? message).replace(/\s+/g, ' ').trim();
}
