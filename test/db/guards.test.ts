import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { newId } from '../../src/db/ids.js';
import { openTestDatabase } from '../database.js';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function aWorkspace() {
  const workspaceId = newId('workspace');
  await database.db.workspace.create({
    data: { id: workspaceId, kind: 'ORGANIZATION', name: 'Acme', creditAccount: { create: { balance: 10, held: 4 } } },
  });
  return workspaceId;
}

async function aCharge(amounts: {
  credits?: number;
  quantity?: number;
  capturedCredits?: number;
  refundedCredits?: number;
}) {
  const workspaceId = await aWorkspace();
  const apiKeyId = newId('apiKey');
  await database.db.apiKey.create({
    data: { id: apiKeyId, workspaceId, product: 'default', environment: 'LIVE', name: 'ci', createdByKind: 'SERVICE' },
  });
  return database.db.charge.create({
    data: {
      id: newId('charge'),
      workspaceId,
      apiKeyId,
      product: 'default',
      action: 'image',
      quantity: 1,
      credits: 5,
      balanceAfter: 5,
      state: 'POSTED',
      ...amounts,
    },
  });
}

async function aLedgerEntry() {
  const workspaceId = await aWorkspace();
  return database.db.ledgerEntry.create({
    data: { id: newId('ledgerEntry'), workspaceId, kind: 'GRANT', credits: 10, balanceAfter: 10, heldAfter: 0 },
  });
}

function anAuditEvent() {
  return database.db.auditEvent.create({
    data: { id: newId('auditEvent'), actorKind: 'SYSTEM', action: 'workspace.created', subjectId: newId('workspace') },
  });
}

describe.each([
  ['LedgerEntry', aLedgerEntry, 'reason'],
  ['AuditEvent', anAuditEvent, 'action'],
])('the table %s', (table, aRow, column) => {
  test.each([
    ['UPDATE', `UPDATE "${table}" SET "${column}" = 'other' WHERE id = $1`],
    ['DELETE', `DELETE FROM "${table}" WHERE id = $1`],
  ])('refuses %s', async (operation, statement) => {
    const { id } = await aRow();
    await expect(database.db.$executeRawUnsafe(statement, id)).rejects.toThrow(
      `${operation} refused: the rows of "${table}" are never changed or removed`,
    );
  });

  test('refuses TRUNCATE, including one that cascades', async () => {
    await aRow();
    await expect(database.db.$executeRawUnsafe(`TRUNCATE "${table}"`)).rejects.toThrow('TRUNCATE refused');
    await expect(database.db.$executeRawUnsafe('TRUNCATE "Workspace" CASCADE')).rejects.toThrow('TRUNCATE refused');
  });
});

test.each([
  [{ balance: -1, held: 0 }, 'CreditAccount_balance_covers_held'],
  [{ balance: 3, held: 4 }, 'CreditAccount_balance_covers_held'],
  [{ balance: 10, held: -1 }, 'CreditAccount_held_not_negative'],
])('the database refuses a credit account with %o', async (data, constraint) => {
  const workspaceId = await aWorkspace();
  await expect(database.db.creditAccount.update({ where: { workspaceId }, data })).rejects.toThrow(constraint);
});

test.each([
  [{ credits: -1 }, /Charge_(credits_not_negative|captured_within_credits)/],
  [{ quantity: 0 }, 'Charge_quantity_positive'],
  [{ capturedCredits: 6 }, 'Charge_captured_within_credits'],
  [{ capturedCredits: -1 }, 'Charge_captured_within_credits'],
  [{ refundedCredits: 6 }, 'Charge_refunded_within_credits'],
  [{ refundedCredits: -1 }, 'Charge_refunded_within_credits'],
])('the database refuses a charge with %o', async (amounts, constraint) => {
  await expect(aCharge(amounts)).rejects.toThrow(constraint);
});

test('the database accepts a charge of 0 credits', async () => {
  expect(await aCharge({ credits: 0 })).toMatchObject({ credits: 0 });
});

test('a personal workspace requires an owner, and an organization refuses one', async () => {
  const userId = newId('user');
  await database.db.user.create({ data: { id: userId, name: 'Ada', email: `${userId}@example.com` } });
  const create = (kind: 'PERSONAL' | 'ORGANIZATION', personalOwnerId: string | null) =>
    database.db.workspace.create({ data: { id: newId('workspace'), kind, name: 'Ada', personalOwnerId } });
  await expect(create('PERSONAL', null)).rejects.toThrow('Workspace_personal_owner_fits_kind');
  await expect(create('ORGANIZATION', userId)).rejects.toThrow('Workspace_personal_owner_fits_kind');
  await expect(create('PERSONAL', userId)).resolves.toMatchObject({ personalOwnerId: userId });
});

test.each(['Workspace', 'ApiKey', 'Charge'])(
  'TRUNCATE refuses the table %s, which the ledger refers to',
  async (table) => {
    await aLedgerEntry();
    await expect(database.db.$executeRawUnsafe(`TRUNCATE "${table}" CASCADE`)).rejects.toThrow('TRUNCATE refused');
  },
);

test('an idempotency record is committed only with its result and is never changed', async () => {
  const { db } = database;
  const workspaceId = await aWorkspace();
  const record = { keyHash: new Uint8Array(32), workspaceId, space: 'CUSTOMER', operation: 'createApiKey' };
  await expect(db.idempotencyRecord.create({ data: record })).rejects.toThrow('COMMIT refused');
  const cut = { ...record, keyHash: new Uint8Array(31), result: '{}' };
  await expect(db.idempotencyRecord.create({ data: cut })).rejects.toThrow('IdempotencyRecord_key_is_hashed');
  await db.idempotencyRecord.create({ data: { ...record, result: '{}' } });
  await expect(db.idempotencyRecord.updateMany({ where: { workspaceId }, data: { result: '[]' } })).rejects.toThrow(
    'UPDATE refused: the rows of "IdempotencyRecord" are never changed or removed',
  );
});

describe('webhooks', () => {
  /** A pending delivery of an event to an endpoint. */
  async function aDelivery() {
    const workspaceId = await aWorkspace();
    const apiKeyId = newId('apiKey');
    await database.db.apiKey.create({
      data: {
        id: apiKeyId,
        workspaceId,
        product: 'default',
        environment: 'LIVE',
        name: 'ci',
        createdByKind: 'SERVICE',
      },
    });
    const { id: endpointId } = await database.db.webhookEndpoint.create({
      data: { id: newId('webhookEndpoint'), workspaceId, apiKeyId, url: 'https://hooks.example.com/' },
    });
    const { id: eventId } = await database.db.webhookEvent.create({
      data: { id: newId('webhookEvent'), workspaceId, type: 'job.finished', payload: '{}' },
    });
    const data = { workspaceId, eventId, endpointId, dueAt: new Date() };
    return { data, ...(await database.db.webhookDelivery.create({ data: { id: newId('webhookDelivery'), ...data } })) };
  }

  test('an event has at most one delivery per endpoint', async () => {
    const { data } = await aDelivery();
    await expect(
      database.db.webhookDelivery.create({ data: { id: newId('webhookDelivery'), ...data } }),
    ).rejects.toThrow('Unique constraint');
  });

  test.each([
    [{ state: 'DELIVERED' as const }, 'WebhookDelivery_pending_until_ended'],
    [{ endedAt: new Date() }, 'WebhookDelivery_pending_until_ended'],
    [{ state: 'FAILED' as const, endedAt: new Date(), leaseId: 'other' }, 'WebhookDelivery_leased_while_pending'],
  ])('the database refuses a delivery with %o', async (data, constraint) => {
    const { id } = await aDelivery();
    await expect(database.db.webhookDelivery.update({ where: { id }, data })).rejects.toThrow(constraint);
  });

  test.each([
    [{}, 'WebhookAttempt_status_or_failure'],
    [{ status: 200, responseStart: 'x'.repeat(1_001) }, 'WebhookAttempt_start_of_response'],
  ])('the database refuses an attempt with %o', async (data, constraint) => {
    const { id: deliveryId, workspaceId } = await aDelivery();
    const attempt = { id: newId('webhookAttempt'), workspaceId, deliveryId, startedAt: new Date(), durationMs: 1 };
    await expect(database.db.webhookAttempt.create({ data: { ...attempt, ...data } })).rejects.toThrow(constraint);
  });

  test.each([{ disabledAt: new Date() }, { disabledReason: 'GONE' as const }])(
    'a disabled endpoint requires both a time and a reason: %o alone is refused',
    async (data) => {
      const { endpointId: id } = await aDelivery();
      await expect(database.db.webhookEndpoint.update({ where: { id }, data })).rejects.toThrow(
        'WebhookEndpoint_disabled_with_reason',
      );
    },
  );
});
