import { randomUUID } from 'node:crypto';
import { isDriverAdapterError, type SqlQueryable } from '@prisma/driver-adapter-utils';
import { StartError } from '../errors.js';
import type { ScriptTransaction } from './adapter.js';
import type { Database } from './database.js';
import { hashScript, listFunctions, listMigrations, type Script } from './migrations.js';

/** What this version adds to a database. */
export interface Changes {
  /** Migrations to apply, oldest first. */
  readonly migrations: readonly Script[];
  /** Functions that are missing or have another body. */
  readonly functions: readonly Script[];
}

/**
 * Brings the database to this version's schema: first the migrations, then the SQL functions. Each migration
 * with its row in Prisma's `_prisma_migrations`, and all functions together, are one transaction, which
 * excludes other processes. However many processes start at once, and whenever one is killed, each migration
 * is applied whole and once, and `prisma migrate deploy` can take over. A migration therefore contains
 * nothing that PostgreSQL refuses in a transaction, such as CREATE INDEX CONCURRENTLY.
 * @returns the names of the migrations and functions that this call applied.
 * @throws StartError if one fails; it has been rolled back.
 */
export async function migrate(
  database: Database,
  all?: { migrations?: readonly Script[]; functions?: readonly Script[] },
): Promise<{ migrations: string[]; functions: string[] }> {
  const migrations = all?.migrations ?? (await listMigrations());
  const functions = all?.functions ?? (await listFunctions());
  const applied: string[] = [];
  for (;;) {
    const step = await database
      .exclusively((transaction) => applyNext(transaction, migrations, functions))
      .catch(explain);
    if ('functions' in step) return { migrations: applied, functions: step.functions };
    applied.push(step.migration);
  }
}

/** What the database lacks of this version. @throws StartError if another, incompatible version made it. */
export async function findPending(database: Database): Promise<Changes> {
  const [migrations, functions] = await Promise.all([listMigrations(), listFunctions()]);
  return database.exclusively((transaction) => findChanges(transaction, migrations, functions)).catch(explain);
}

/**
 * For a start that must not migrate.
 * @throws StartError if the database lacks migrations or functions of this version.
 */
export async function requireMigrated(database: Database): Promise<void> {
  const { migrations, functions } = await findPending(database);
  const lacking = [
    ...(migrations.length > 0 ? [`${migrations.length} of its migrations (${namesOf(migrations).join(', ')})`] : []),
    ...(functions.length > 0 ? [`${functions.length} of its functions (${namesOf(functions).join(', ')})`] : []),
  ];
  if (lacking.length === 0) return;
  throw new StartError(
    `The database is behind this version by ${lacking.join(' and ')}, and TOLLKEEPER_MIGRATE is false. Run "tollkeeper migrate", or start one process with TOLLKEEPER_MIGRATE=true.`,
  );
}

type Step = { readonly migration: string } | { readonly functions: string[] };

async function applyNext(
  transaction: ScriptTransaction,
  allMigrations: readonly Script[],
  allFunctions: readonly Script[],
): Promise<Step> {
  const { migrations, functions } = await findChanges(transaction, allMigrations, allFunctions);
  const [next] = migrations;
  if (next === undefined) {
    await applyFunctions(transaction, functions);
    return { functions: namesOf(functions) };
  }
  await applyMigration(transaction, next);
  return { migration: next.name };
}

/** Prisma's table of migrations, as its schema engine creates it. */
const createMigrationsTable = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL,
    logs TEXT,
    rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

async function applyMigration(transaction: ScriptTransaction, migration: Script): Promise<void> {
  await transaction.executeScript(createMigrationsTable);
  await transaction.executeScript(migration.script).catch((error) => {
    throw failureOf(`The migration ${migration.name}`, error);
  });
  await transaction.executeRaw(
    query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), hashScript(migration), migration.name],
    ),
  );
}

/**
 * Functions refer to each other, so they are created twice: first unchecked, in any order, then with
 * PostgreSQL's check of their bodies.
 */
async function applyFunctions(transaction: ScriptTransaction, functions: readonly Script[]): Promise<void> {
  for (const isChecked of [false, true]) {
    await transaction.executeScript(`SET LOCAL check_function_bodies = ${isChecked}`);
    for (const { name, script } of functions) {
      await transaction.executeScript(script).catch((error) => {
        throw failureOf(`The function ${name}`, error);
      });
    }
  }
  for (const script of functions) {
    await transaction.executeRaw(
      query('INSERT INTO tollkeeper.function_version ("function", "hash") VALUES ($1, $2)', [
        script.name,
        hashScript(script),
      ]),
    );
  }
}

async function findChanges(
  transaction: SqlQueryable,
  allMigrations: readonly Script[],
  allFunctions: readonly Script[],
): Promise<Changes> {
  const done = await findAppliedMigrations(transaction);
  const newest = allMigrations.at(-1)?.name ?? '';
  const known = new Set(namesOf(allMigrations));
  const unknown = [...done].filter((name) => !known.has(name));
  const older = unknown.filter((name) => name < newest).sort();
  if (older.length > 0) {
    throw new StartError(
      `The database was made by an earlier, unreleased version of Tollkeeper (it lists the migration ${older[0]}), which this version cannot upgrade. Use an empty database or data folder.`,
    );
  }
  const migrations = allMigrations.filter(({ name }) => !done.has(name));
  // A newer version has been here, during a rolling upgrade: its functions serve this version too, and must
  // stay.
  const functions = unknown.length > 0 ? [] : await findChangedFunctions(transaction, allFunctions);
  return { migrations, functions };
}

async function findAppliedMigrations(transaction: SqlQueryable): Promise<Set<string>> {
  if (!(await exists(transaction, '_prisma_migrations'))) return new Set();
  const { rows } = await transaction.queryRaw(
    query(
      'SELECT migration_name, finished_at IS NOT NULL FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY 1',
    ),
  );
  const failed = rows.find(([, isFinished]) => isFinished !== true);
  if (failed) {
    throw new StartError(
      `The migration ${failed[0]} was started by another tool and did not finish. Repair the database, then mark it with "prisma migrate resolve".`,
    );
  }
  return new Set(rows.map(([name]) => String(name)));
}

/**
 * A text that was applied before and replaced since is not applied again: it belongs to the previous version,
 * of which a process may still start during a rolling upgrade.
 */
async function findChangedFunctions(transaction: SqlQueryable, all: readonly Script[]): Promise<Script[]> {
  if (!(await exists(transaction, 'tollkeeper.function_version'))) return [...all];
  const { rows } = await transaction.queryRaw(query('SELECT "function", "hash" FROM tollkeeper.function_version'));
  const applied = new Set(rows.map(([name, hash]) => `${name} ${hash}`));
  return all.filter((script) => !applied.has(`${script.name} ${hashScript(script)}`));
}

async function exists(transaction: SqlQueryable, table: string): Promise<boolean> {
  const { rows } = await transaction.queryRaw(query('SELECT to_regclass($1) IS NOT NULL', [table]));
  return rows[0]?.[0] === true;
}

function namesOf(scripts: readonly Script[]): string[] {
  return scripts.map(({ name }) => name);
}

function query(sql: string, args: string[] = []) {
  return { sql, args, argTypes: args.map(() => ({ scalarType: 'string', arity: 'scalar' }) as const) };
}

function failureOf(what: string, cause: unknown): StartError {
  return new StartError(
    `${what} failed (${messageOf(cause)}). It was rolled back. Repair what the message names, or restore a backup, and start again.`,
    { cause },
  );
}

function explain(error: unknown): never {
  if (error instanceof StartError) throw error;
  throw new StartError(
    `The database could not be migrated (${messageOf(error)}). If another process is migrating it, wait until it is done. Else check that the user of DATABASE_URL may create schemas, tables and functions, and start again.`,
    { cause: error },
  );
}

/** What PostgreSQL said, on one line. */
function messageOf(error: unknown): string {
  const said = isDriverAdapterError(error) ? error.cause.originalMessage : undefined;
  return (said ?? (error instanceof Error ? error.message : String(error))).replace(/\s+/g, ' ').trim();
}
