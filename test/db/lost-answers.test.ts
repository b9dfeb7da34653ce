import { afterEach, expect, test, vi } from 'vitest';
import type { RunStatement } from '../../src/db/database.js';
import { UnavailableError } from '../../src/errors.js';
import { aPerson, createApiKey, verify } from '../factories.js';
import { sharedDatabase, startServer } from '../harness.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A server that loses the responses of the database to its batches of charges after COMMIT. */
async function aServerThatLosesAnswers() {
  const database = await sharedDatabase();
  const { run } = database;
  const lost = { next: 0 };
  const lossy: RunStatement = async <Row extends object>(
    statement: Parameters<RunStatement>[0],
    values: readonly unknown[],
  ) => {
    const rows = await run<Row>(statement, values);
    if (!statement.text.includes('tollkeeper.charge') || lost.next === 0) return rows;
    lost.next -= 1;
    throw new UnavailableError('The answer was lost.');
  };
  vi.spyOn(database, 'run').mockImplementation(lossy as typeof run);
  const server = await startServer();
  const owner = await aPerson(server);
  const { apiKey, secret } = await createApiKey(owner.client, { name: 'lost', product: 'default' });
  // Caches the key, so that the charges of a test share one batch.
  expect((await verify(server, secret)).code).toBe('VALID');
  const { db } = server.services;
  const workspaceId = owner.personalWorkspaceId;
  return {
    db,
    apiKey,
    lost,
    charge: (idempotencyKey?: string, hold = false) =>
      verify(server, secret, { charge: { action: 'request', hold, ...(idempotencyKey && { idempotencyKey }) } }),
    account: () => db.creditAccount.findUniqueOrThrow({ where: { workspaceId } }),
    charges: () => db.charge.findMany({ where: { workspaceId }, orderBy: { id: 'asc' } }),
    entries: () => db.ledgerEntry.findMany({ where: { workspaceId }, orderBy: { id: 'asc' } }),
  };
}

test('charges whose response is lost after COMMIT are taken once and answered as written', async () => {
  const { lost, charge, account, charges, entries } = await aServerThatLosesAnswers();
  const { balance } = await account();
  lost.next = 1;
  const answers = await Promise.all([
    charge(),
    charge('order-1'),
    charge(),
    charge('order-1'),
    charge('order-2', true),
  ]);

  expect(answers.map(({ code }) => code)).toEqual(Array(5).fill('VALID'));
  const written = new Map((await charges()).map((row) => [row.id, row]));
  expect(written.size).toBe(4);
  for (const { charge: answer } of answers) {
    const row = written.get(answer?.id ?? '');
    expect(answer).toMatchObject({ credits: row?.credits, balanceAfter: row?.balanceAfter, state: row?.state });
  }
  expect(answers.map(({ charge: answer }) => answer?.replayed)).toEqual([false, false, false, true, false]);
  expect(answers[3]?.charge?.id).toBe(answers[1]?.charge?.id);
  expect(await account()).toMatchObject({ balance: balance - 3, held: 1 });
  const [grant, ...lines] = await entries();
  expect(grant?.kind).toBe('GRANT');
  expect(lines.map(({ kind }) => kind)).toEqual(['CHARGE', 'CHARGE', 'CHARGE', 'HOLD']);
});

test('a spend limit counts a charge once when the response to it is lost', async () => {
  const { db, apiKey, lost, charge } = await aServerThatLosesAnswers();
  await db.apiKey.update({ where: { id: apiKey.id }, data: { spendLimit: 3, spendPeriod: 'DAY' } });
  expect((await charge()).code).toBe('VALID');
  lost.next = 1;
  const answers = await Promise.all([charge(), charge(), charge()]);
  expect(answers.map(({ code }) => code)).toEqual(['VALID', 'VALID', 'INSUFFICIENT_CREDITS']);
  const [spending] = await db.keySpending.findMany({ where: { apiKeyId: apiKey.id } });
  expect(spending?.credits).toBe(3);
});

test('a charge whose second response is also lost answers UNAVAILABLE and is taken once', async () => {
  const { lost, charge, account } = await aServerThatLosesAnswers();
  const { balance } = await account();
  lost.next = 2;
  await expect(charge('order-3')).rejects.toThrow('UNAVAILABLE');
  expect(await charge('order-3')).toMatchObject({ code: 'VALID', charge: { replayed: true } });
  expect(await account()).toMatchObject({ balance: balance - 1 });
});
