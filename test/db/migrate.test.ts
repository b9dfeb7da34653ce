import { test as base, describe, expect, inject } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { findDrift } from '../../src/db/drift.js';
import { migrate, pendingMigrations, requireMigrated } from '../../src/db/migrate.js';
import { openDatabase } from '../../src/db/open.js';
import { listMigrations } from '../../src/db/schema-engine.js';
import { StartError } from '../../src/errors.js';
import { createTestDatabase } from '../database.js';

const onPostgresql = inject('databaseTemplate').kind === 'postgresql';

/** A database without any tables, and the way to open it once more, as another process would; embedded there is only one. */
const test = base.extend<{ openAnother: () => Promise<Database>; database: Database }>({
  openAnother: async ({ task: _task }, use) => {
    const empty = onPostgresql ? await createTestDatabase() : null;
    const opened: Array<Promise<Database>> = [];
    await use(() => {
      const [first] = opened;
      if (first && empty === null) return first;
      const database = openDatabase(empty === null ? { dataDir: null } : { ...empty, poolSizeMax: 2 });
      opened.push(database);
      return database;
    });
    for (const database of opened) await (await database).close();
    await empty?.remove();
  },
  database: async ({ openAnother }, use) => use(await openAnother()),
});

const allNames = (await listMigrations()).map(({ name }) => name);

function recordedIn({ db }: Database): Promise<Array<{ migration_name: string; finished: boolean }>> {
  return db.$queryRaw`SELECT migration_name, finished_at IS NOT NULL AS finished FROM _prisma_migrations ORDER BY started_at`;
}

test('an empty database is behind by every migration, and by none once it is migrated', async ({ database }) => {
  expect(await pendingMigrations(database)).toEqual(allNames);
  expect(await migrate(database)).toEqual(allNames);
  expect(await pendingMigrations(database)).toEqual([]);
  expect(await migrate(database)).toEqual([]);
});

test('what is applied is recorded as Prisma records it', async ({ database }) => {
  await migrate(database);
  expect(await recordedIn(database)).toEqual(allNames.map((name) => ({ migration_name: name, finished: true })));
});

test('several that migrate at once apply each migration once', async ({ openAnother }) => {
  const databases = await Promise.all([openAnother(), openAnother(), openAnother(), openAnother()]);
  const applied = await Promise.all(databases.map((database) => migrate(database)));
  expect(applied.flat().sort()).toEqual(allNames);
  expect(await recordedIn(await openAnother())).toHaveLength(allNames.length);
});

test('a start that must not migrate refuses a database that is behind, and says by what', async ({ database }) => {
  await expect(requireMigrated(database)).rejects.toThrow(StartError);
  await expect(requireMigrated(database)).rejects.toThrow(/behind.*20261120000000_initial.*TOLLKEEPER_MIGRATE/);
  await migrate(database);
  await expect(requireMigrated(database)).resolves.toBeUndefined();
});

test('a migration that fails names itself and its cause, and leaves nothing behind', async ({ database }) => {
  const broken = { name: '20990101000000_broken', script: 'CREATE TABLE half (id int); SELECT 1 / 0;' };
  const failure = migrate(database, [...(await listMigrations()), broken]);
  await expect(failure).rejects.toThrow(StartError);
  await expect(failure).rejects.toThrow(/20990101000000_broken failed \(division by zero\)/);
  expect(await recordedIn(database)).toHaveLength(allNames.length);
  expect(await database.db.$queryRaw`SELECT to_regclass('half')::text AS half`).toEqual([{ half: null }]);

  const mended = { ...broken, script: 'CREATE TABLE half (id int);' };
  expect(await migrate(database, [...(await listMigrations()), mended])).toEqual([broken.name]);
});

describe('the schema', () => {
  base('is what the migrations give', async () => {
    expect(await findDrift()).toBeNull();
  });
});
