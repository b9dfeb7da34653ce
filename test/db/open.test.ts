import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../../src/db/open.js';
import { reachPostgresql } from '../../src/db/reach.js';
import { StartError } from '../../src/errors.js';
import { createTestDatabase, openTestDatabase } from '../database.js';
import { withDatabase } from '../postgresql.js';

async function refusalOf(connectionString: string): Promise<string> {
  const error = await reachPostgresql({ connectionString }, 0).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StartError);
  return error instanceof Error ? error.message : '';
}

test('the error for an unreachable PostgreSQL names host, port and database but not the password', async () => {
  const message = await refusalOf('postgresql://toll:hunter2@127.0.0.1:1/keeper');
  expect(message).toMatch(/cannot be reached at 127\.0\.0\.1:1 for the database "keeper" .*ECONNREFUSED.*DATABASE_URL/);
  expect(message).not.toContain('hunter2');
});

test('connecting to a PostgreSQL that never answers fails with a StartError', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  expect(await refusalOf(`postgresql://toll:hunter2@127.0.0.1:${port}/keeper`)).toContain('cannot be reached');
  silent.close();
});

test('the error for a malformed DATABASE_URL does not repeat its value', async () => {
  const message = await refusalOf('postgresql://toll:hunter2@[x/keeper');
  expect(message).toMatch(/^DATABASE_URL cannot be read/);
  expect(message).not.toContain('hunter2');
});

test('each test has a database of its own', async () => {
  const [one, two] = await Promise.all([openTestDatabase(), openTestDatabase()]);
  await one.db.user.create({ data: { id: 'usr_1', name: 'Ada', email: 'ada@example.com' } });
  expect(await one.db.user.count()).toBe(1);
  expect(await two.db.user.count()).toBe(0);
  await Promise.all([one.close(), two.close()]);
});

test('closing a database twice is not an error', async () => {
  const database = await openTestDatabase();
  await database.close();
  await database.close();
});

describe.runIf(inject('databaseTemplate').kind === 'postgresql')('on PostgreSQL', () => {
  test('the error for a missing database names it', async () => {
    const { databaseUrl, remove } = await createTestDatabase();
    expect(await refusalOf(withDatabase(databaseUrl, 'missing'))).toMatch(/has no database "missing"\. Create it/);
    await remove();
  });

  test('timestamps do not depend on the time zone setting of the database', async () => {
    const { databaseUrl, remove } = await createTestDatabase();
    const first = await openDatabase({ databaseUrl });
    await first.db.$executeRawUnsafe(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Tokyo''', current_database()); END $$`,
    );
    await first.close();

    const database = await openDatabase({ databaseUrl });
    const noon = new Date('2026-07-01T12:00:00.000Z');
    expect(await database.db.$queryRaw`SELECT ${noon}::timestamptz AS noon`).toEqual([{ noon }]);
    await database.close();
    await remove();
  });
});
