import { test as base, describe, expect, inject } from 'vitest';
import { adapterWithin } from '../../src/db/adapter.js';
import type { Database } from '../../src/db/database.js';
import { findPending, migrate, requireMigrated } from '../../src/db/migrate.js';
import { listFunctions, listMigrations } from '../../src/db/migrations.js';
import { openDatabase } from '../../src/db/open.js';
import { StartError } from '../../src/errors.js';
import { findDrift } from '../../tools/drift.js';
import { noFilters, schemaEngineOn, toMigrationList } from '../../tools/schema-engine.js';
import { createTestDatabase, openEmptyDatabase } from '../database.js';

const onPostgresql = inject('databaseTemplate').kind === 'postgresql';

/**
 * A database without tables, and a function that opens it again, as another process would. The embedded one
 * is opened once.
 */
const test = base.extend<{ openAnother: () => Promise<Database>; database: Database }>({
  openAnother: async ({ task: _task }, use) => {
    const empty = onPostgresql ? await createTestDatabase() : null;
    const opened: Array<Promise<Database>> = [];
    await use(() => {
      const [first] = opened;
      if (first && empty === null) return first;
      const database = empty === null ? openEmptyDatabase() : openDatabase({ ...empty, poolSizeMax: 2 });
      opened.push(database);
      return database;
    });
    for (const database of opened) await (await database).close();
    await empty?.remove();
  },
  database: async ({ openAnother }, use) => use(await openAnother()),
});

const allMigrations = await listMigrations();
const allFunctions = await listFunctions();
const migrationNames = allMigrations.map(({ name }) => name);
const functionNames = allFunctions.map(({ name }) => name);

function recordedIn({ db }: Database): Promise<Array<{ migration_name: string; finished: boolean }>> {
  return db.$queryRaw`SELECT migration_name, finished_at IS NOT NULL AS finished FROM _prisma_migrations ORDER BY started_at`;
}

async function pendingIn(database: Database) {
  const { migrations, functions } = await findPending(database);
  return { migrations: migrations.map(({ name }) => name), functions: functions.map(({ name }) => name) };
}

const everything = { migrations: migrationNames, functions: functionNames };
const nothing = { migrations: [], functions: [] };

test('every migration and function is pending in an empty database, and none after migrating', async ({ database }) => {
  expect(await pendingIn(database)).toEqual(everything);
  expect(await migrate(database)).toEqual(everything);
  expect(await pendingIn(database)).toEqual(nothing);
  expect(await migrate(database)).toEqual(nothing);
});

test('applied migrations are recorded in the format of Prisma', async ({ database }) => {
  await migrate(database);
  expect(await recordedIn(database)).toEqual(migrationNames.map((name) => ({ migration_name: name, finished: true })));
});

test('the schema engine of Prisma finds every migration applied and unchanged, and applies the next one', async ({
  database,
}) => {
  await migrate(database);
  const next = { name: '20990101000000_next', script: 'CREATE TABLE next (id int);' };
  await database.exclusively(async (transaction) => {
    const engine = await schemaEngineOn(adapterWithin(transaction));
    const applied = { migrationsList: toMigrationList(allMigrations), filters: noFilters };
    expect(await engine.diagnoseMigrationHistory({ ...applied, optInToShadowDatabase: false })).toMatchObject({
      editedMigrationNames: [],
      failedMigrationNames: [],
      hasMigrationsTable: true,
      history: null,
    });
    const all = { migrationsList: toMigrationList([...allMigrations, next]), filters: noFilters };
    expect(await engine.applyMigrations(all)).toEqual({ appliedMigrationNames: [next.name] });
    engine.free();
  });
  expect(await migrate(database, { migrations: [...allMigrations, next] })).toEqual(nothing);
});

test('addresses that an identity provider did not vouch for are released, and no other address', async ({
  database,
}) => {
  const release = allMigrations.findIndex(({ name }) => name.endsWith('_release_unverified_addresses'));
  await migrate(database, { migrations: allMigrations.slice(0, release), functions: [] });
  await database.db.$executeRaw`
    INSERT INTO "User" ("id", "name", "email", "emailVerified", "updatedAt") VALUES
      ('usr_1', 'not vouched for', '1@example.com', false, now()),
      ('usr_2', 'vouched for', '2@example.com', true, now()),
      ('usr_3', 'with a password', '3@example.com', false, now())`;
  await database.db.$executeRaw`
    INSERT INTO "AuthAccount" ("id", "accountId", "providerId", "userId", "updatedAt") VALUES
      ('acc_1', 'one', 'https://id.example.com', 'usr_1', now()),
      ('acc_2', 'two', 'https://id.example.com', 'usr_2', now()),
      ('acc_3', 'usr_3', 'credential', 'usr_3', now())`;
  await migrate(database);
  expect(await database.db.$queryRaw`SELECT "email" FROM "User" ORDER BY "id"`).toEqual([
    { email: 'usr_1@identity.invalid' },
    { email: '2@example.com' },
    { email: '3@example.com' },
  ]);
});

test('concurrent migrators apply each migration once', async ({ openAnother }) => {
  const databases = await Promise.all([openAnother(), openAnother(), openAnother(), openAnother()]);
  const applied = await Promise.all(databases.map((database) => migrate(database)));
  expect(applied.flatMap(({ migrations }) => migrations).sort()).toEqual(migrationNames);
  expect(applied.flatMap(({ functions }) => functions).sort()).toEqual(functionNames);
  expect(await recordedIn(await openAnother())).toHaveLength(migrationNames.length);
});

test('a start with migrations disabled refuses an outdated database and names what is pending', async ({
  database,
}) => {
  await expect(requireMigrated(database)).rejects.toThrow(StartError);
  await expect(requireMigrated(database)).rejects.toThrow(/behind.*_initial.*functions \(.*charge.*TOLLKEEPER_MIGRATE/);
  await migrate(database);
  await expect(requireMigrated(database)).resolves.toBeUndefined();
});

test('a failed migration is rolled back, and its error names the migration and the cause', async ({ database }) => {
  const broken = { name: '20990101000000_broken', script: 'CREATE TABLE half (id int); SELECT 1 / 0;' };
  const failure = migrate(database, { migrations: [...allMigrations, broken] });
  await expect(failure).rejects.toThrow(StartError);
  await expect(failure).rejects.toThrow(/20990101000000_broken failed \(division by zero\)/);
  expect(await recordedIn(database)).toHaveLength(migrationNames.length);
  expect(await database.db.$queryRaw`SELECT to_regclass('half')::text AS half`).toEqual([{ half: null }]);

  const mended = { ...broken, script: 'CREATE TABLE half (id int);' };
  expect(await migrate(database, { migrations: [...allMigrations, mended] })).toMatchObject({
    migrations: [broken.name],
  });
});

test('a database of an earlier, unreleased version is refused with an error that says so', async ({ database }) => {
  await migrate(database, { migrations: [{ name: '20261120000000_initial', script: 'SELECT 1' }], functions: [] });
  const refusal = /^The database was made by an earlier, unreleased version.*20261120000000_initial.*empty database/;
  for (const attempt of [migrate, requireMigrated]) {
    await expect(attempt(database)).rejects.toThrow(StartError);
    await expect(attempt(database)).rejects.toThrow(refusal);
  }
});

test('a migration that another tool left unfinished is refused with an error that names it', async ({ database }) => {
  await migrate(database);
  await database.db.$executeRaw`UPDATE _prisma_migrations SET finished_at = NULL`;
  await expect(migrate(database)).rejects.toThrow(/20261121160000_initial .* "prisma migrate resolve"/);
});

describe('SQL functions', () => {
  const first = {
    name: 'answer',
    script: `CREATE OR REPLACE FUNCTION tollkeeper.answer() RETURNS int LANGUAGE sql AS 'SELECT tollkeeper.basis()'`,
  };
  const basis = {
    name: 'basis',
    script: `CREATE OR REPLACE FUNCTION tollkeeper.basis() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
  };
  const second = { ...basis, script: basis.script.replace('SELECT 1', 'SELECT 2') };
  const release = (...functions: (typeof first)[]) => ({ migrations: allMigrations, functions });

  test('are applied in any order, and reapplied when their text changes', async ({ database }) => {
    await migrate(database, release(first, basis));
    expect(await database.db.$queryRaw`SELECT tollkeeper.answer()`).toEqual([{ answer: 1 }]);
    expect(await migrate(database, release(first, second))).toEqual({ migrations: [], functions: ['basis'] });
    expect(await database.db.$queryRaw`SELECT tollkeeper.answer()`).toEqual([{ answer: 2 }]);
  });

  test('are not reverted by a process of the previous version that starts later', async ({ database }) => {
    await migrate(database, release(basis));
    await migrate(database, release(second));
    expect(await migrate(database, release(basis))).toEqual(nothing);
    expect(await database.db.$queryRaw`SELECT tollkeeper.basis()`).toEqual([{ basis: 2 }]);

    const next = { name: '20990101000000_next', script: 'CREATE TABLE next (id int);' };
    await migrate(database, { migrations: [...allMigrations, next], functions: [second] });
    expect(await migrate(database, release(first, second))).toEqual(nothing);
  });

  test('are rolled back when one fails, with an error that names the function and the cause', async ({ database }) => {
    const broken = { name: 'broken', script: basis.script.replace('SELECT 1', 'SELECT missing') };
    await expect(migrate(database, release(basis, broken))).rejects.toThrow(
      /^The function broken failed \(column "missing" does not exist\)/,
    );
    await expect(database.db.$queryRaw`SELECT tollkeeper.basis()`).rejects.toThrow('does not exist');
  });

  test('block the writes that they guard while they are missing', async ({ database }) => {
    await migrate(database, release());
    await expect(
      database.db
        .$executeRaw`INSERT INTO "LedgerEntry" ("workspaceId", "kind", "credits", "balanceAfter", "heldAfter") VALUES ('wsp_1', 'GRANT', 1, 1, 0)`,
    ).rejects.toThrow('tollkeeper migrate');
  });
});

describe('the Prisma schema', () => {
  base('matches the migrated database', async () => {
    expect(await findDrift()).toBeNull();
  });
});
