import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { newId } from '../../src/db/ids.js';
import { isUnavailable, isUniqueViolation, type Tx, transaction } from '../../src/db/transaction.js';
import { UnavailableError } from '../../src/errors.js';
import { openTestDatabase } from '../database.js';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

function aUser(tx: Tx) {
  const id = newId('user');
  return tx.user.create({ data: { id, name: 'Ada', email: `${id}@example.com` } });
}

function findUser(id: string) {
  return database.db.user.findUnique({ where: { id } });
}

/** Fails as PostgreSQL does, with the given SQLSTATE. */
function failWith(tx: Tx, state: string) {
  return tx.$executeRawUnsafe(`DO $$ BEGIN RAISE EXCEPTION 'asked for' USING ERRCODE = '${state}'; END $$`);
}

test('a transaction returns the result of its work and commits its writes', async () => {
  const { id } = await transaction(database.db, aUser);
  expect(await findUser(id)).toMatchObject({ id });
});

test('a transaction whose work throws is rolled back and rejects with that error', async () => {
  let id = '';
  const failing = transaction(database.db, async (tx) => {
    ({ id } = await aUser(tx));
    throw new TypeError('no');
  });
  await expect(failing).rejects.toThrow(new TypeError('no'));
  expect(await findUser(id)).toBeNull();
});

test.each(['40001', '40P01'])('work that the database rolls back with SQLSTATE %s is retried', async (state) => {
  let tries = 0;
  const { id } = await transaction(database.db, async (tx) => {
    tries += 1;
    const user = await aUser(tx);
    if (tries < 3) await failWith(tx, state);
    return user;
  });
  expect(tries).toBe(3);
  expect(await findUser(id)).toMatchObject({ id });
});

test('work that is rolled back five times fails with UnavailableError', async () => {
  let tries = 0;
  const failing = transaction(database.db, (tx) => {
    tries += 1;
    return failWith(tx, '40001');
  });
  await expect(failing).rejects.toThrow(UnavailableError);
  expect(tries).toBe(5);
});

test('any other error is not retried', async () => {
  let tries = 0;
  const failing = transaction(database.db, (tx) => {
    tries += 1;
    return failWith(tx, '22012');
  });
  await expect(failing).rejects.toThrow('asked for');
  expect(tries).toBe(1);
});

test('a commit after a swallowed SQL error rejects, because nothing is written', async () => {
  let id = '';
  const swallowing = transaction(database.db, async (tx) => {
    ({ id } = await aUser(tx));
    await failWith(tx, '22012').catch(() => undefined);
  });
  await expect(swallowing).rejects.toThrow();
  expect(await findUser(id)).toBeNull();
});

test('unique violations are distinguished from other errors, through Prisma and raw SQL', async () => {
  const { id } = await aUser(database.db);
  const through = [
    database.db.user.create({ data: { id, name: 'Ada', email: 'other@example.com' } }),
    database.db
      .$executeRaw`INSERT INTO "User" (id, name, email, "updatedAt") VALUES (${id}, 'Ada', 'other@example.com', now())`,
  ];
  for (const attempt of through) {
    const error = await attempt.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUnavailable(error)).toBe(false);
  }
  expect(isUniqueViolation(await failWith(database.db, '23503').catch((reason: unknown) => reason))).toBe(false);
});

test.each(['53300', '57P01', '57014', '55P03', '08006', '25006'])(
  'SQLSTATE %s means that the database is unavailable',
  async (state) => {
    await expect(transaction(database.db, (tx) => failWith(tx, state))).rejects.toThrow(UnavailableError);
  },
);

test('more concurrent transactions than connections wait and all commit', async () => {
  const users = await Promise.all(Array.from({ length: 40 }, () => transaction(database.db, aUser)));
  expect(await database.db.user.count({ where: { id: { in: users.map(({ id }) => id) } } })).toBe(40);
});

test('timestamps are read back exactly as they are written', async () => {
  const { id } = await aUser(database.db);
  const createdAt = new Date('2026-07-01T12:34:56.789Z');
  await database.db.user.update({ where: { id }, data: { createdAt } });
  expect((await findUser(id))?.createdAt).toEqual(createdAt);
  expect(await database.db.$queryRaw`SELECT "createdAt" FROM "User" WHERE id = ${id}`).toEqual([{ createdAt }]);
});

describe.runIf(inject('databaseTemplate').kind === 'postgresql')('on PostgreSQL', () => {
  /** Terminates the connection of the transaction, as a restart of the server does. */
  async function endConnectionOf(tx: Tx) {
    const rows = await tx.$queryRaw<Array<{ pid: number }>>`SELECT pg_backend_pid() AS pid`;
    await database.db.$queryRaw`SELECT pg_terminate_backend(${rows[0]?.pid}::int)`;
  }

  test('work is not retried after a lost connection, including one lost before COMMIT', async () => {
    let tries = 0;
    const losing = (after: (tx: Tx) => Promise<unknown>) =>
      transaction(database.db, async (tx) => {
        tries += 1;
        await endConnectionOf(tx);
        await after(tx);
      });
    await expect(losing(aUser)).rejects.toThrow(UnavailableError);
    await expect(losing(() => Promise.resolve())).rejects.toThrow(UnavailableError);
    expect(tries).toBe(2);
  });

  test('a connection that is terminated while idle is replaced', async () => {
    await database.db
      .$queryRaw`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expect(transaction(database.db, aUser)).resolves.toMatchObject({ name: 'Ada' });
  });

  test('both of two deadlocked transactions commit', async () => {
    const [one, two] = await Promise.all([aUser(database.db), aUser(database.db)]);
    const rename = (ids: string[]) =>
      transaction(database.db, async (tx) => {
        for (const id of ids) {
          await tx.user.update({ where: { id }, data: { name: 'Grace' } });
          await tx.$executeRaw`SELECT pg_sleep(0.1)`;
        }
      });
    await Promise.all([rename([one.id, two.id]), rename([two.id, one.id])]);
    expect(await findUser(one.id)).toMatchObject({ name: 'Grace' });
  });
});
