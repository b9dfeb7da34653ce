import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { newId } from '../../src/db/ids.js';
import { migrate } from '../../src/db/migrate.js';
import { openDatabase } from '../../src/db/open.js';
import { listMigrations } from '../../src/db/schema-engine.js';
import { verifyChain } from '../../src/domain/audit/chain.js';
import { createTestDatabase, openTestDatabase } from '../database.js';

test('what was recorded before there were chains becomes the beginning of its chain', async () => {
  const empty = inject('databaseTemplate').kind === 'postgresql' ? await createTestDatabase() : null;
  const database = await openDatabase(empty === null ? { dataDir: null } : { ...empty, poolSizeMax: 2 });
  const { db } = database;
  const all = await listMigrations();
  await migrate(
    database,
    all.filter(({ name }) => name < '20261120000007'),
  );
  const workspaceIds = [newId('workspace'), newId('workspace')];
  for (let made = 0; made < 20; made += 1) {
    for (const workspaceId of [...workspaceIds, null]) {
      await db.$executeRaw`
        INSERT INTO "AuditEvent" ("id", "workspaceId", "actorKind", "action", "subjectId", "after")
        VALUES (${newId('auditEvent')}, ${workspaceId}, 'SYSTEM', 'workspace.updated', 'wsp_0', '{"name": "Acme"}')`;
    }
  }
  await migrate(database, all);
  for (const workspaceId of [...workspaceIds, null]) {
    const events = await db.auditEvent.findMany({ where: { workspaceId }, orderBy: { id: 'asc' } });
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    expect(await verifyChain(db, workspaceId)).toMatchObject({ end: { sequence: 20 }, fault: null });
  }
  // And goes on, as immutable as before.
  const [workspaceId = ''] = workspaceIds;
  const next = { id: newId('auditEvent'), workspaceId, actorKind: 'SYSTEM', action: 'x.done', subjectId: 'x' } as const;
  await db.auditEvent.create({ data: next });
  expect(await verifyChain(db, workspaceId)).toMatchObject({ end: { sequence: 21 }, fault: null });
  await expect(db.auditEvent.delete({ where: { id: next.id } })).rejects.toThrow('never changed or removed');
  await database.close();
  await empty?.remove();
}, 120_000);

describe('the end of a chain', () => {
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
    ['does not change while no event comes', `UPDATE "AuditChain" SET "hash" = '' WHERE "workspaceId" = $1`],
    ['is not given to another', `UPDATE "AuditChain" SET "workspaceId" = 'x', "sequence" = 2 WHERE "workspaceId" = $1`],
    ['is not removed', `DELETE FROM "AuditChain" WHERE "workspaceId" = $1`],
    ['is not emptied with all others', 'TRUNCATE "AuditChain"'],
  ])('%s', async (_guarantee, statement) => {
    const parameters = statement.includes('$1') ? [workspaceId] : [];
    await expect(database.db.$executeRawUnsafe(statement, ...parameters)).rejects.toThrow('go with the events');
  });

  test('whatever an event says of its place, its time and its hash, the database says better', async () => {
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
