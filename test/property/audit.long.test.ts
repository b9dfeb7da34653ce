import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../src/db/ids.js';
import type { Tx } from '../../src/db/transaction.js';
import { type ChainReport, verifyChain } from '../../src/domain/audit/chain.js';
import { anOrganization, aPerson, createApiKey, grantCredits, tryRotateApiKey } from '../factories.js';
import { aServer, sharedDatabase, type TestServer } from '../harness.js';
import { atOnce } from './credit-operations.js';

describe('concurrently recorded audit events', () => {
  test('form one complete chain without gaps per workspace', async () => {
    const server = await aServer();
    const { db } = server.services;
    const owner = await aPerson(server);
    const workspaceIds = await Promise.all([anOrganization(owner), anOrganization(owner), anOrganization(owner)]);
    const keys = await Promise.all(
      workspaceIds.map(
        async (workspaceId) => (await createApiKey(owner.client, { workspaceId, name: 'ci' })).apiKey.id,
      ),
    );
    const before = await db.auditEvent.count({ where: { workspaceId: { in: workspaceIds } } });
    // Some lock the workspace first and some its account; all of them lock the head of the chain last.
    await atOnce(60, async (index) => {
      const place = index % workspaceIds.length;
      if (index % 2 === 0) await grantCredits(server, workspaceIds[place] ?? '', 1);
      else await tryRotateApiKey(owner.client, keys[place] ?? '', 0);
    });
    expect(await db.auditEvent.count({ where: { workspaceId: { in: workspaceIds } } })).toBe(before + 60);
    for (const workspaceId of workspaceIds) {
      const events = await db.auditEvent.findMany({ where: { workspaceId }, orderBy: { sequence: 'asc' } });
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
      const times = events.map(({ createdAt }) => createdAt.getTime());
      expect(times).toEqual(times.toSorted((one, other) => one - other));
      expect(await verifyChain(db, workspaceId)).toEqual({
        end: { sequence: events.length, hash: Buffer.from(events.at(-1)?.hash ?? []).toString('hex') },
        fault: null,
      });
    }
  });
});

/** More than the server reads of a chain in one query. */
const length = 1_203;

/** A new chain of events with different values. */
async function aChain({ services: { db } }: TestServer): Promise<string> {
  const workspaceId = newId('workspace');
  for (let made = 0; made < length; ) {
    const size = Math.min(100, length - made);
    await db.auditEvent.createMany({
      data: Array.from({ length: size }, (_, index) => ({
        id: newId('auditEvent'),
        workspaceId,
        actorKind: 'USER' as const,
        actorId: newId('user'),
        action: 'apiKey.updated',
        subjectId: newId('apiKey'),
        before: { name: `name ${made + index}`, permissions: ['a:b'], limit: null },
        after: { name: `näme ${made + index + 1} "\\'`, permissions: [], limit: 1.5 },
        requestId: newId('request'),
        address: '2001:db8::1',
      })),
    });
    made += size;
  }
  return workspaceId;
}

let server: TestServer;
let workspaceId: string;
beforeAll(async () => {
  server = await aServer();
  workspaceId = await aChain(server);
}, 120_000);

/** The report on the chain after a change that bypasses the triggers. The change is rolled back. */
async function reportAfter(deed: (tx: Tx) => Promise<unknown>, newest?: number): Promise<ChainReport> {
  const { db } = await sharedDatabase();
  let report: ChainReport | undefined;
  const undo = new Error('undone');
  await db
    .$transaction(async (tx) => {
      await tx.$executeRaw`SET LOCAL session_replication_role = replica`;
      await deed(tx);
      report = await verifyChain(tx, workspaceId, newest);
      throw undo;
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error;
    });
  if (report === undefined) throw new Error('The chain was not verified.');
  return report;
}

const at = (sequence: number) => ({ workspaceId_sequence: { workspaceId, sequence } });
const anySequence = fc.integer({ min: 1, max: length });

/** Each column of an event with a different value. */
const changes = {
  id: { id: newId('auditEvent') },
  actorKind: { actorKind: 'SERVICE' },
  actorId: { actorId: null },
  action: { action: 'apiKey.revoked' },
  subjectId: { subjectId: newId('apiKey') },
  refused: { refused: true },
  before: { before: { name: 'another', permissions: ['a:b'], limit: null } },
  after: { after: {} },
  requestId: { requestId: null },
  address: { address: '2001:db8::2' },
  createdAt: { createdAt: new Date(0) },
  previousHash: { previousHash: new Uint8Array(32) },
  hash: { hash: new Uint8Array(32) },
} as const;

describe('verification of a chain whose events were changed by bypassing the triggers', () => {
  test('reports an unchanged chain as intact, as a whole and for the newest events', async () => {
    const intact = await reportAfter(async () => {});
    expect(intact).toEqual({ end: { sequence: length, hash: expect.stringMatching(/^[0-9a-f]{64}$/) }, fault: null });
    expect(await reportAfter(async () => {}, 100)).toEqual(intact);
  });

  test.each(Object.entries(changes))('reports a changed %s at the changed event', async (_column, data) => {
    await fc.assert(
      fc.asyncProperty(anySequence, async (sequence) => {
        const { fault } = await reportAfter((tx) => tx.auditEvent.update({ where: at(sequence), data }));
        expect(fault).toEqual({ sequence, kind: 'changed', eventId: expect.stringMatching(/^aud_/) });
      }),
      { numRuns: 4 },
    );
  });

  test('reports a changed event with a recomputed hash at the next event, or at the last one', async () => {
    await fc.assert(
      fc.asyncProperty(anySequence, async (sequence) => {
        const { fault } = await reportAfter(async (tx) => {
          await tx.auditEvent.update({ where: at(sequence), data: { action: 'apiKey.revoked' } });
          await tx.$executeRaw`
            UPDATE "AuditEvent" e SET "hash" = tollkeeper.audit_hash(e)
            WHERE "workspaceId" = ${workspaceId} AND "sequence" = ${sequence}::int`;
        });
        expect(fault).toMatchObject({ sequence: Math.min(sequence + 1, length), kind: 'changed' });
      }),
      { numRuns: 10 },
    );
  });

  test('reports removed events at the first of them', async () => {
    await fc.assert(
      fc.asyncProperty(anySequence, fc.integer({ min: 1, max: 20 }), async (first, count) => {
        const last = first + count - 1;
        const { fault } = await reportAfter((tx) =>
          tx.auditEvent.deleteMany({ where: { workspaceId, sequence: { gte: first, lte: last } } }),
        );
        const isEnd = last >= length;
        expect(fault).toEqual({
          sequence: first,
          kind: 'missing',
          eventId: isEnd ? null : expect.stringMatching(/^aud_/),
        });
      }),
      { numRuns: 15 },
    );
  });

  test('reports a removed event when the later ones are renumbered', async () => {
    const sequence = 700;
    const { fault } = await reportAfter(async (tx) => {
      await tx.auditEvent.delete({ where: at(sequence) });
      await tx.$executeRaw`
        UPDATE "AuditEvent" SET "sequence" = -"sequence" WHERE "workspaceId" = ${workspaceId} AND "sequence" > ${sequence}::int`;
      await tx.$executeRaw`
        UPDATE "AuditEvent" SET "sequence" = -"sequence" - 1 WHERE "workspaceId" = ${workspaceId} AND "sequence" < 0`;
    });
    expect(fault).toMatchObject({ sequence, kind: 'changed' });
  });

  test('reports two swapped events', async () => {
    const { fault } = await reportAfter(async (tx) => {
      await tx.auditEvent.update({ where: at(500), data: { sequence: 0 } });
      await tx.auditEvent.update({ where: at(600), data: { sequence: 500 } });
      await tx.auditEvent.update({ where: at(0), data: { sequence: 600 } });
    });
    expect(fault).toMatchObject({ sequence: 500, kind: 'changed' });
  });

  test('reports an added event', async () => {
    const { fault } = await reportAfter(async (tx) => {
      const {
        sequence: _,
        id: __,
        before,
        after,
        ...copy
      } = await tx.auditEvent.findUniqueOrThrow({ where: at(length) });
      const id = newId('auditEvent');
      await tx.auditEvent.create({
        data: { ...copy, id, sequence: length + 1, before: before ?? {}, after: after ?? {} },
      });
    });
    expect(fault).toMatchObject({ sequence: length + 1, kind: 'added' });
  });

  test('reports a head of the chain that is set back or removed', async () => {
    const setBack = await reportAfter(async (tx) => {
      const { hash } = await tx.auditEvent.findUniqueOrThrow({ where: at(length - 1) });
      await tx.auditChain.update({ where: { workspaceId }, data: { sequence: length - 1, hash } });
    });
    expect(setBack.fault).toMatchObject({ sequence: length, kind: 'added' });
    const lost = await reportAfter((tx) => tx.auditChain.delete({ where: { workspaceId } }));
    expect(lost.fault).toMatchObject({ kind: 'added' });
  });

  test('covers only the newest events when it is limited to them', async () => {
    const change = (sequence: number) => (tx: Tx) =>
      tx.auditEvent.update({ where: at(sequence), data: { action: 'apiKey.revoked' } });
    expect((await reportAfter(change(length - 99), 100)).fault).toMatchObject({ sequence: length - 99 });
    expect((await reportAfter(change(1), 100)).fault).toBeNull();
  });
});
