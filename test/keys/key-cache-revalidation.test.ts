import { EventEmitter, once } from 'node:events';
import pg from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { type Db, transaction } from '../../src/db/transaction.js';
import { classifyCredential } from '../../src/domain/keys/classify-credential.js';
import { aPerson, createApiKey, verify } from '../factories.js';
import type { VerificationCode } from '../generated/graphql.js';
import { startServer, type TestServer } from '../harness.js';

/** A key that a server has just loaded into its cache. */
async function aKeptKey() {
  const server = await startServer();
  const owner = await aPerson(server);
  const { apiKey, secret } = await createApiKey(owner.client, {
    name: 'kept',
    product: 'default',
    permissions: ['data:read', 'export:create'],
  });
  const { db } = server.services;
  const workspaceId = owner.personalWorkspaceId;
  await db.workspaceFeature.create({ data: { workspaceId, product: 'default', feature: 'exports' } });
  const ask = (isCharged: boolean) =>
    verify(server, secret, {
      requires: ['export:create'],
      origin: 'https://app.example.com',
      ...(isCharged && { charge: { action: 'request' } }),
    });
  expect((await ask(false)).code).toBe('VALID');
  return { server, db, workspaceId, apiKey, secret, ask };
}

/** Changes by SQL that bypass every server, and the result of the next verification. */
const changes: Record<string, readonly [sql: string, code: VerificationCode]> = {
  'a revocation': [`UPDATE "ApiKey" SET "revokedAt" = now() WHERE "id" = $1`, 'INVALID_CREDENTIAL'],
  'a deletion': [`UPDATE "ApiKey" SET "revokedAt" = now(), "deletedAt" = now() WHERE "id" = $1`, 'INVALID_CREDENTIAL'],
  'switching off': [`UPDATE "ApiKey" SET "disabledAt" = now() WHERE "id" = $1`, 'DISABLED'],
  'an earlier end': [
    `UPDATE "ApiKey" SET "createdAt" = now() - interval '2 hours', "expiresAt" = now() - interval '1 hour' WHERE "id" = $1`,
    'EXPIRED',
  ],
  'another product': [`UPDATE "ApiKey" SET "product" = 'masko' WHERE "id" = $1`, 'INVALID_CREDENTIAL'],
  'fewer permissions': [`UPDATE "ApiKey" SET "permissions" = '{data:read}' WHERE "id" = $1`, 'FORBIDDEN'],
  'fewer origins': [
    `UPDATE "ApiKey" SET "allowedOrigins" = '{https://other.example.com}' WHERE "id" = $1`,
    'ORIGIN_NOT_ALLOWED',
  ],
  'the retirement of its secret': [
    `UPDATE "KeySecret" SET "retiresAt" = now() WHERE "apiKeyId" = $1`,
    'INVALID_CREDENTIAL',
  ],
  'another secret in its place': [
    `UPDATE "KeySecret" SET "hash" = sha256("hash") WHERE "apiKeyId" = $1`,
    'INVALID_CREDENTIAL',
  ],
  'the gift of its secret to another key': [
    `WITH other AS (
       INSERT INTO "ApiKey" ("id", "workspaceId", "product", "environment", "name", "permissions", "allowedOrigins", "createdByKind", "disabledAt")
       SELECT 'key_' || md5("id"), "workspaceId", "product", "environment", 'other', "permissions", "allowedOrigins", "createdByKind", now()
       FROM "ApiKey" WHERE "id" = $1 RETURNING "id"
     )
     UPDATE "KeySecret" s SET "apiKeyId" = other."id" FROM other WHERE s."apiKeyId" = $1`,
    'DISABLED',
  ],
  'the removal of its secret': [`DELETE FROM "KeySecret" WHERE "apiKeyId" = $1`, 'INVALID_CREDENTIAL'],
  'a suspension of its workspace': [
    `UPDATE "Workspace" SET "suspendedAt" = now() WHERE "id" = (SELECT "workspaceId" FROM "ApiKey" WHERE "id" = $1)`,
    'WORKSPACE_SUSPENDED',
  ],
  'a feature that is switched off': [
    `DELETE FROM "WorkspaceFeature" WHERE "workspaceId" = (SELECT "workspaceId" FROM "ApiKey" WHERE "id" = $1)`,
    'FEATURE_DISABLED',
  ],
};

describe.each(Object.entries(changes))('%s by direct SQL', (_name, [sql, code]) => {
  test.each([
    ['without a charge', false],
    ['with one, which takes nothing', true],
  ])('is applied by the next verification %s', async (_how, isCharged) => {
    const { db, workspaceId, apiKey, ask } = await aKeptKey();
    const account = () => db.creditAccount.findUniqueOrThrow({ where: { workspaceId } });
    const before = await account();
    expect(await db.$executeRawUnsafe(sql, apiKey.id)).toBe(1);
    const answer = await ask(isCharged);
    expect([answer.code, answer.charge]).toEqual([code, null]);
    expect(await account()).toEqual(before);
  });
});

test.each(['KeySecret', 'WorkspaceFeature'])('truncating %s is refused by a trigger', async (table) => {
  const { db, ask } = await aKeptKey();
  await expect(db.$executeRawUnsafe(`TRUNCATE "${table}"`)).rejects.toThrow('Delete its rows instead');
  expect((await ask(true)).code).toBe('VALID');
});

test('a change of one workspace, or of one key, evicts nothing else from the cache', async () => {
  const { server, db, workspaceId, secret, ask } = await aKeptKey();
  const owner = await aPerson(server, 'Grace');
  const others = await Promise.all(
    ['one', 'two'].map((name) => createApiKey(owner.client, { name, product: 'default' })),
  );
  for (const other of others) expect((await verify(server, other.secret)).code).toBe('VALID');
  const isCached = (plaintext: string) => {
    const presented = classifyCredential(server.services.products, { kind: 'bearer', token: plaintext });
    return presented.kind === 'candidate' && server.services.keys.getCached(presented) !== null;
  };
  const cached = () => [secret, ...others.map((other) => other.secret)].map(isCached);
  expect(cached()).toEqual([true, true, true]);
  await db.apiKey.update({ where: { id: others[0]?.apiKey.id ?? '' }, data: { name: 'changed' } });
  expect((await ask(false)).code).toBe('VALID');
  expect(cached()).toEqual([true, false, true]);
  await db.workspace.update({ where: { id: owner.personalWorkspaceId }, data: { suspendedAt: new Date() } });
  expect((await ask(true)).code).toBe('VALID');
  expect((await ask(false)).code).toBe('VALID');
  expect(cached()).toEqual([true, false, false]);
  await db.workspace.update({ where: { id: workspaceId }, data: { name: 'changed' } });
  expect((await verify(server, others[1]?.secret ?? '')).code).toBe('WORKSPACE_SUSPENDED');
  expect(cached()).toEqual([false, false, true]);
});

test('a change that makes a key valid again is applied by the next verification', async () => {
  const { db, apiKey, ask } = await aKeptKey();
  await db.apiKey.update({ where: { id: apiKey.id }, data: { disabledAt: new Date() } });
  expect((await ask(true)).code).toBe('DISABLED');
  await db.apiKey.update({ where: { id: apiKey.id }, data: { disabledAt: null } });
  expect((await ask(true)).code).toBe('VALID');
});

test('a new spend limit is applied by the next charge', async () => {
  const { db, apiKey, ask } = await aKeptKey();
  expect((await ask(true)).code).toBe('VALID');
  await db.apiKey.update({ where: { id: apiKey.id }, data: { spendLimit: 1, spendPeriod: 'DAY' } });
  expect((await ask(true)).code).toBe('VALID');
  expect((await ask(true)).code).toBe('INSUFFICIENT_CREDITS');
});

test('a revoked key above its rate limit returns INVALID_CREDENTIAL instead of RATE_LIMITED', async () => {
  const { db, apiKey, ask } = await aKeptKey();
  const codes = await Promise.all(Array.from({ length: 60 }, () => ask(true)));
  expect(codes.at(-1)?.code).toBe('RATE_LIMITED');
  await db.apiKey.update({ where: { id: apiKey.id }, data: { revokedAt: new Date() } });
  expect((await ask(true)).code).toBe('INVALID_CREDENTIAL');
});

test('a change during a batch is applied by verifications that start after it', async () => {
  const { db, apiKey, ask } = await aKeptKey();
  for (let round = 0; round < 10; round += 1) {
    const disabledAt = round % 2 === 0 ? new Date() : null;
    const [, , after] = await Promise.all([
      ask(false),
      ask(false),
      db.apiKey.update({ where: { id: apiKey.id }, data: { disabledAt } }).then(() => ask(false)),
    ]);
    expect(after.code).toBe(disabledAt === null ? 'VALID' : 'DISABLED');
  }
});

/** Writes rows without the trigger that records changes, as a restore does. */
async function writeUnnoted({ services: { db } }: TestServer, sql: string, id: string) {
  await transaction(db, async (tx) => {
    await tx.$executeRawUnsafe(`ALTER TABLE "ApiKey" DISABLE TRIGGER "ApiKey_notes_change"`);
    await tx.$executeRawUnsafe(sql, id);
    await tx.$executeRawUnsafe(`ALTER TABLE "ApiKey" ENABLE TRIGGER "ApiKey_notes_change"`);
  });
}

test('a new era of the database invalidates the cache, and a charge with an outdated key takes no credits', async () => {
  const { server, db, apiKey, ask } = await aKeptKey();
  await writeUnnoted(server, `UPDATE "ApiKey" SET "disabledAt" = now() WHERE "id" = $1`, apiKey.id);
  expect((await ask(true)).code).toBe('VALID');
  const nextEra = (era: string) =>
    db.$executeRawUnsafe(
      `CREATE OR REPLACE FUNCTION tollkeeper.era() RETURNS text LANGUAGE sql STABLE AS $$ SELECT '${era}' $$`,
    );
  await nextEra('restored');
  const charged = await ask(true);
  expect([charged.code, charged.charge]).toEqual(['DISABLED', null]);
  await writeUnnoted(server, `UPDATE "ApiKey" SET "disabledAt" = NULL WHERE "id" = $1`, apiKey.id);
  await nextEra('restored once more');
  expect((await ask(false)).code).toBe('VALID');
});

test('rows restored from a server with higher transaction ids are not listed as changes', async () => {
  const { server, db, apiKey, ask } = await aKeptKey();
  await writeUnnoted(server, `UPDATE "ApiKey" SET "changedIn" = 9000000000000000 WHERE "id" = $1`, apiKey.id);
  const [seen] = await db.$queryRaw<{ changes: bigint }[]>`
    SELECT count(*) AS "changes" FROM tollkeeper.changed_since(pg_current_snapshot())`;
  expect(seen?.changes).toBe(0n);
  expect((await ask(true)).code).toBe('VALID');
});

describe.skipIf(inject('databaseTemplate').kind !== 'postgresql')(
  'changes in transactions that commit out of order',
  () => {
    test('are applied if they began before the last refresh and committed after it', async () => {
      const { db, apiKey, ask } = await aKeptKey();
      const steps = new EventEmitter();
      const begun = once(steps, 'begun');
      const mayCommit = once(steps, 'commit');
      const revoking = transaction(db, async (tx) => {
        await tx.apiKey.update({ where: { id: apiKey.id }, data: { revokedAt: new Date() } });
        steps.emit('begun');
        await mayCommit;
      });
      await begun;
      // Later transactions commit, and later refreshes read them.
      const other = await aPerson(await startServer(), 'Grace');
      await createApiKey(other.client, { name: 'later', product: 'default' });
      expect((await ask(false)).code).toBe('VALID');
      expect((await ask(true)).code).toBe('VALID');
      steps.emit('commit');
      await revoking;
      expect((await ask(true)).code).toBe('INVALID_CREDENTIAL');
    });

    test('are read once by a refresh, while a transaction stays open in any database of the server', async () => {
      const { db, workspaceId, apiKey } = await aKeptKey();
      const template = inject('databaseTemplate');
      if (template.kind !== 'postgresql') throw new Error('Skipped without PostgreSQL.');
      const elsewhere = new pg.Client({ connectionString: template.serverUrl });
      await elsewhere.connect();
      const steps = new EventEmitter();
      const mayCommit = once(steps, 'commit');
      try {
        await elsewhere.query('BEGIN; SELECT pg_current_xact_id()');
        const begun = once(steps, 'begun');
        const open = transaction(db, async (tx) => {
          await tx.apiKey.update({ where: { id: apiKey.id }, data: { disabledAt: new Date() } });
          steps.emit('begun');
          await mayCommit;
        });
        await begun;
        await db.$executeRaw`
        INSERT INTO "ApiKey" ("id", "workspaceId", "product", "environment", "name", "createdByKind")
        SELECT 'key_' || md5(${apiKey.id} || n), ${workspaceId}, 'default', 'LIVE', 'changed', 'SERVICE' FROM generate_series(1, 500) n`;
        await db.$executeRaw`UPDATE "ApiKey" SET "name" = 'changed again' WHERE "workspaceId" = ${workspaceId} AND "name" = 'changed'`;
        const seen = await snapshotOf(db);
        expect(await refreshSince(db, seen)).toEqual({ ids: [], rowsRead: 0 });
        steps.emit('commit');
        await open;
        expect(await refreshSince(db, seen)).toEqual({ ids: [apiKey.id], rowsRead: 1 });
      } finally {
        steps.emit('commit');
        await elsewhere.end();
      }
    });
  },
);

async function snapshotOf(db: Db): Promise<string> {
  const [row] = await db.$queryRaw<{ snapshot: string }[]>`SELECT pg_current_snapshot()::text AS "snapshot"`;
  return row?.snapshot ?? '';
}

interface PlanNode {
  'Node Type': string;
  'Actual Rows': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: PlanNode[];
}

/** The changes since a snapshot, and the number of rows read to find them. Planned as in the server. */
async function refreshSince(db: Db, seen: string): Promise<{ ids: string[]; rowsRead: number }> {
  return transaction(db, async (tx) => {
    await tx.$executeRaw`SET LOCAL enable_seqscan = off`;
    const rows = await tx.$queryRaw<{ id: string }[]>`SELECT "id" FROM tollkeeper.changed_since(${seen}::pg_snapshot)`;
    const [explained] = await tx.$queryRawUnsafe<{ 'QUERY PLAN': { Plan: PlanNode }[] }[]>(
      `EXPLAIN (ANALYZE, FORMAT JSON) SELECT "id" FROM tollkeeper.changed_since('${seen}'::pg_snapshot)`,
    );
    const plan = explained?.['QUERY PLAN'][0]?.Plan;
    if (plan === undefined) throw new Error('PostgreSQL explained nothing.');
    return { ids: rows.map(({ id }) => id), rowsRead: rowsReadBy(plan) };
  });
}

function rowsReadBy(node: PlanNode): number {
  const own = /^(Index Scan|Index Only Scan|Bitmap Heap Scan|Seq Scan)$/.test(node['Node Type'])
    ? node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)
    : 0;
  return (node.Plans ?? []).reduce((sum, child) => sum + rowsReadBy(child), own);
}
