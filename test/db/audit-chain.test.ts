import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { newId } from '../../src/db/ids.js';
import { verifyChain } from '../../src/domain/audit/chain.js';
import { openTestDatabase } from '../database.js';

describe('the head of an audit chain', () => {
  let database: Database;
  const workspaceId = newId('workspace');
  beforeAll(async () => {
    database = await openTestDatabase();
    await database.db.auditEvent.create({
      data: { id: newId('auditEvent'), workspaceId, actorKind: 'SYSTEM', action: 'x.done', subjectId: 'x' },
    });
  });
  afterAll(() => database.close());

  test.each([
    ['is not set back', `UPDATE "AuditChain" SET "sequence" = 0 WHERE "workspaceId" = $1`],
    ['does not skip a number', `UPDATE "AuditChain" SET "sequence" = 3 WHERE "workspaceId" = $1`],
    ['does not change without a new event', `UPDATE "AuditChain" SET "hash" = '' WHERE "workspaceId" = $1`],
    [
      'is not moved to another workspace',
      `UPDATE "AuditChain" SET "workspaceId" = 'x', "sequence" = 2 WHERE "workspaceId" = $1`,
    ],
    ['is not removed', `DELETE FROM "AuditChain" WHERE "workspaceId" = $1`],
    ['is not truncated', 'TRUNCATE "AuditChain"'],
  ])('%s', async (_guarantee, statement) => {
    const parameters = statement.includes('$1') ? [workspaceId] : [];
    await expect(database.db.$executeRawUnsafe(statement, ...parameters)).rejects.toThrow(
      'change only with the events',
    );
  });

  test('advances by values that the database computes, and ignores the sequence, time and hashes of the insert', async () => {
    const { db } = database;
    const id = newId('auditEvent');
    await db.auditEvent.create({
      data: {
        id,
        workspaceId,
        actorKind: 'SYSTEM',
        action: 'x.done',
        subjectId: 'x',
        sequence: 1,
        createdAt: new Date(0),
        hash: new Uint8Array(32),
        previousHash: new Uint8Array(32),
      },
    });
    const event = await db.auditEvent.findUniqueOrThrow({ where: { id } });
    expect(event.sequence).toBe(2);
    expect(Math.abs(event.createdAt.getTime() - Date.now())).toBeLessThan(60_000);
    expect((await verifyChain(db, workspaceId)).fault).toBeNull();
  });
});
