import { beforeAll, describe, expect, test } from 'vitest';
import { aWorkspaceWith, charge, createApiKey, grantCredits, revokeApiKey } from '../factories.js';
import { expectSoundLedger, readLedger, tryRefund } from './credit-operations.js';

/** A workspace whose ledger and audit trail the server itself has written. */
async function aHistory() {
  const { server, owner, workspaceId } = await aWorkspaceWith({ product: 'craftkit' });
  await grantCredits(server, workspaceId, 10);
  const { secret, apiKey } = await createApiKey(owner.client, { name: 'ci' });
  const paid = await charge(server, secret, { action: 'render', quantity: 4 });
  await charge(server, secret, { action: 'render', quantity: 2, hold: true });
  await tryRefund(server, { chargeId: paid.charge?.id ?? '', credits: 1 });
  await revokeApiKey(owner.client, apiKey.id);
  const { db } = server.deps;
  const read = async () => ({
    ledger: await readLedger(server, workspaceId),
    audit: await db.auditEvent.findMany({ where: { workspaceId }, orderBy: { id: 'asc' } }),
  });
  return { db, workspaceId, read };
}

// Whatever is tried leaves it as it was, so one history serves all.
let history: Awaited<ReturnType<typeof aHistory>>;
beforeAll(async () => {
  history = await aHistory();
});

const never = /never changed or removed/;
const referred = /the ledger refers to the rows/;

describe('what the server has written down stays, whoever asks the database', () => {
  test.each([
    [
      'a line of the ledger is not changed',
      'UPDATE "LedgerEntry" SET "credits" = 1000 WHERE "workspaceId" = $1',
      never,
    ],
    ['not even to what it is', 'UPDATE "LedgerEntry" SET "credits" = "credits" WHERE "workspaceId" = $1', never],
    ['a line is not removed', 'DELETE FROM "LedgerEntry" WHERE "workspaceId" = $1', never],
    ['the ledger is not emptied', 'TRUNCATE "LedgerEntry"', never],
    ['nor with all that refers to it', 'TRUNCATE "LedgerEntry", "Charge" CASCADE', never],
    [
      'a line is not overwritten by a new one',
      `INSERT INTO "LedgerEntry" SELECT * FROM "LedgerEntry" WHERE "workspaceId" = $1
       ON CONFLICT ("id") DO UPDATE SET "credits" = 1000`,
      never,
    ],
    [
      'a charge that has lines is not removed from under them',
      'DELETE FROM "Charge" WHERE "workspaceId" = $1',
      referred,
    ],
    [
      'a workspace that has lines is not renamed in them',
      'UPDATE "Workspace" SET "id" = \'wsp_other\' WHERE "id" = $1',
      referred,
    ],
    ['a workspace that has lines is not removed', 'DELETE FROM "Workspace" WHERE "id" = $1', referred],
    [
      'an event of the audit trail is not changed',
      'UPDATE "AuditEvent" SET "action" = \'x\' WHERE "workspaceId" = $1',
      never,
    ],
    ['an event is not removed', 'DELETE FROM "AuditEvent" WHERE "workspaceId" = $1', never],
    ['the audit trail is not emptied', 'TRUNCATE "AuditEvent"', never],
  ])('%s', async (_guarantee, statement, reason) => {
    const { db, workspaceId, read } = history;
    const before = await read();
    expect(before.audit.map(({ action }) => action)).toContain('apiKey.revoked');
    const parameters = statement.includes('$1') ? [workspaceId] : [];
    await expect(db.$executeRawUnsafe(statement, ...parameters)).rejects.toThrow(reason);
    expect(await read()).toEqual(before);
  });

  test('and an error in the middle of a transaction takes back what came before it', async () => {
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

describe('an account covers what is held, and is never in debt', () => {
  test.each([
    ['a balance below zero', '"balance" = -1, "held" = 0'],
    ['less than nothing held', '"held" = -1'],
    ['more held than there is', '"held" = "balance" + 1'],
    ['a balance below what is held', '"balance" = "held" - 1'],
    ['a balance that is no number', '"balance" = NULL'],
    ['more than can be counted', '"balance" = 2147483647 + "balance"'],
  ])('the database refuses %s', async (_state, change) => {
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
