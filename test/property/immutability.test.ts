import { beforeAll, describe, expect, test } from 'vitest';
import { aWorkspaceWith, charge, createApiKey, grantCredits, revokeApiKey } from '../factories.js';
import { expectSoundLedger, readLedger, tryRefund } from './credit-operations.js';

/** A workspace with a ledger and audit trail written by the server. */
async function aHistory() {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit' });
  await grantCredits(server, workspaceId, 10);
  const { secret, apiKey } = await createApiKey(owner.client, { name: 'ci' });
  const paid = await charge(server, secret, { action: 'render', quantity: 4 });
  await charge(server, secret, { action: 'render', quantity: 2, hold: true });
  await tryRefund(server, { chargeId: paid.charge?.id ?? '', credits: 1 });
  await revokeApiKey(owner.client, apiKey.id);
  const { db } = server.services;
  const read = async () => ({
    ledger: await readLedger(server, workspaceId),
    audit: await db.auditEvent.findMany({ where: { workspaceId }, orderBy: { id: 'asc' } }),
  });
  return { db, workspaceId, read };
}

// All attempts leave it unchanged, so the tests share it.
let history: Awaited<ReturnType<typeof aHistory>>;
beforeAll(async () => {
  history = await aHistory();
});

const never = /never changed or removed/;
const referred = /the ledger refers to the rows/;

describe('the database refuses any statement by which', () => {
  test.each([
    ['a ledger entry is changed', 'UPDATE "LedgerEntry" SET "credits" = 1000 WHERE "workspaceId" = $1', never],
    [
      'a ledger entry is updated to the same values',
      'UPDATE "LedgerEntry" SET "credits" = "credits" WHERE "workspaceId" = $1',
      never,
    ],
    ['a ledger entry is deleted', 'DELETE FROM "LedgerEntry" WHERE "workspaceId" = $1', never],
    ['the ledger is truncated', 'TRUNCATE "LedgerEntry"', never],
    ['the ledger is truncated together with charges', 'TRUNCATE "LedgerEntry", "Charge" CASCADE', never],
    [
      'a ledger entry is overwritten by an upsert',
      `INSERT INTO "LedgerEntry" SELECT * FROM "LedgerEntry" WHERE "workspaceId" = $1
       ON CONFLICT ("id") DO UPDATE SET "credits" = 1000`,
      never,
    ],
    ['a charge with ledger entries is deleted', 'DELETE FROM "Charge" WHERE "workspaceId" = $1', referred],
    [
      'the id of a workspace with ledger entries is changed',
      'UPDATE "Workspace" SET "id" = \'wsp_other\' WHERE "id" = $1',
      referred,
    ],
    ['a workspace with ledger entries is deleted', 'DELETE FROM "Workspace" WHERE "id" = $1', referred],
    ['an audit event is changed', 'UPDATE "AuditEvent" SET "action" = \'x\' WHERE "workspaceId" = $1', never],
    ['an audit event is deleted', 'DELETE FROM "AuditEvent" WHERE "workspaceId" = $1', never],
    ['the audit trail is truncated', 'TRUNCATE "AuditEvent"', never],
  ])('%s', async (_guarantee, statement, reason) => {
    const { db, workspaceId, read } = history;
    const before = await read();
    expect(before.audit.map(({ action }) => action)).toContain('apiKey.revoked');
    const parameters = statement.includes('$1') ? [workspaceId] : [];
    await expect(db.$executeRawUnsafe(statement, ...parameters)).rejects.toThrow(reason);
    expect(await read()).toEqual(before);
  });

  test('a ledger entry is deleted in a transaction, which is rolled back as a whole', async () => {
    const { db, workspaceId, read } = history;
    const before = await read();
    const work = db.$transaction([
      db.$executeRaw`UPDATE "CreditAccount" SET "balance" = "balance" + 1 WHERE "workspaceId" = ${workspaceId}`,
      db.$executeRaw`DELETE FROM "LedgerEntry" WHERE "workspaceId" = ${workspaceId}`,
    ]);
    await expect(work).rejects.toThrow(never);
    expect(await read()).toEqual(before);
  });
});

describe('the balance of an account always covers its held credits', () => {
  test.each([
    ['a negative balance', '"balance" = -1, "held" = 0'],
    ['negative held credits', '"held" = -1'],
    ['more held credits than the balance', '"held" = "balance" + 1'],
    ['a balance below the held credits', '"balance" = "held" - 1'],
    ['a balance of NULL', '"balance" = NULL'],
    ['a balance above the range of integers', '"balance" = 2147483647 + "balance"'],
  ])('because the database refuses %s', async (_state, change) => {
    const { db, workspaceId, read } = history;
    const before = await read();
    expect(before.ledger).toMatchObject({ balance: 7, held: 2 });
    const statement = `UPDATE "CreditAccount" SET ${change} WHERE "workspaceId" = $1`;
    await expect(db.$executeRawUnsafe(statement, workspaceId)).rejects.toThrow();
    const after = await read();
    expectSoundLedger(after.ledger);
    expect(after).toEqual(before);
  });
});
