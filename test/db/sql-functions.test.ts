import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { newId } from '../../src/db/ids.js';
import { listFunctions } from '../../src/db/migrations.js';
import { createTestDatabase, openTestDatabase } from '../database.js';

/**
 * Calls each SQL function directly, on one database session, because plpgsql_check counts executed statements
 * per session. The last tests require a PostgreSQL with that extension and are skipped without it.
 */
const template = inject('databaseTemplate');
const hasExtension = template.kind === 'postgresql' && (await isExtensionAvailable(template.serverUrl));

async function isExtensionAvailable(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT rolsuper AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'plpgsql_check') AS "isAvailable"
       FROM pg_roles WHERE rolname = current_user`,
    );
    return rows[0]?.isAvailable === true;
  } finally {
    await client.end();
  }
}

type Row = Record<string, unknown>;
let query: (sql: string, values?: unknown[]) => Promise<Row[]>;
let close: () => Promise<void>;

beforeAll(async () => {
  if (template.kind === 'embedded') {
    const database: Database = await openTestDatabase();
    query = (text, values = []) => database.run<Row>({ name: text, text }, values);
    close = database.close;
    return;
  }
  const { databaseUrl, remove } = await createTestDatabase(template.templateName);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`SET TIME ZONE 'UTC'`);
  if (hasExtension) await client.query('CREATE EXTENSION plpgsql_check; SET plpgsql_check.profiler = on');
  query = async (text, values = []) => (await client.query(text, values)).rows;
  close = async () => {
    await client.end();
    await remove();
  };
});

afterAll(() => close());

async function one(sql: string, values?: unknown[]): Promise<Row> {
  const [row] = await query(sql, values);
  if (row === undefined) throw new Error(`No row: ${sql}`);
  return row;
}

/** Runs `work` in a transaction that is rolled back. */
async function rolledBack<T>(work: () => Promise<T>): Promise<T> {
  await query('BEGIN');
  try {
    return await work();
  } finally {
    await query('ROLLBACK');
  }
}

async function aWorkspace(balance: number | null = 100): Promise<string> {
  const id = newId('workspace');
  await query(`INSERT INTO "Workspace" ("id", "kind", "name") VALUES ($1, 'ORGANIZATION', 'Acme')`, [id]);
  if (balance !== null) {
    await query(`INSERT INTO "CreditAccount" ("workspaceId", "balance") VALUES ($1, $2)`, [id, balance]);
  }
  return id;
}

async function aKey(workspaceId: string, secret = newId('keySecret')) {
  const id = newId('apiKey');
  await query(
    `INSERT INTO "ApiKey" ("id", "workspaceId", "product", "environment", "name", "permissions", "allowedOrigins", "createdByKind")
     VALUES ($1, $2, 'default', 'LIVE', 'key', '{}', '{}', 'SERVICE')`,
    [id, workspaceId],
  );
  await query(
    `INSERT INTO "KeySecret" ("id", "workspaceId", "apiKeyId", "hash", "preview") VALUES ($1, $2, $3, sha256($4), 'abcd')`,
    [secret, workspaceId, id, Buffer.from(secret)],
  );
  return { id, secret };
}

const account = (workspaceId: string) =>
  one(`SELECT "balance", "held" FROM "CreditAccount" WHERE "workspaceId" = $1`, [workspaceId]);
const snapshot = async () => (await one('SELECT pg_current_snapshot()::text AS s')).s;
const at = '2026-03-04T05:06:07Z';

interface ChargeRow {
  workspaceId: string;
  apiKeyId: string;
  id?: string;
  price?: number;
  hold?: boolean;
  idempotencyKey?: string;
  spendLimit?: number;
}

/**
 * Charges one batch. The result has the outcome of each charge, its balance and the id of the charge that it
 * replays.
 */
async function chargeAll(charges: ChargeRow[], options: { isRetry?: boolean; era?: string; seen?: unknown } = {}) {
  const workspaceIds = [...new Set(charges.map(({ workspaceId }) => workspaceId))].sort();
  const ids = charges.map(({ id }) => id ?? newId('charge'));
  const optional = <T>(read: (charge: ChargeRow) => T | undefined) =>
    charges.some((charge) => read(charge) !== undefined) ? charges.map((charge) => read(charge) ?? null) : null;
  const limits = optional(({ spendLimit }) => spendLimit);
  const row = await one(
    `SELECT * FROM tollkeeper.charge(
       era => coalesce($1, tollkeeper.era()), seen => $2::pg_snapshot, workspace_ids => $3::text[], accounts => $4::int[],
       charge_ids => $5::text[], api_key_ids => $6::text[], products => array_fill('default'::text, ARRAY[$7::int]),
       actions => array_fill('request'::text, ARRAY[$7::int]), quantities => array_fill(1::float8, ARRAY[$7::int]),
       prices => $8::int[], holds => $9::bool[], hold_ends => array_fill(NULL::timestamptz, ARRAY[$7::int]),
       made_at => array_fill($10::timestamptz, ARRAY[$7::int]), idempotency_keys => $11::text[],
       spend_limits => $12::int[], spend_periods => $13::text[], is_retry => $14::bool
     )`,
    [
      options.era ?? null,
      options.seen ?? (await snapshot()),
      workspaceIds,
      charges.map(({ workspaceId }) => workspaceIds.indexOf(workspaceId) + 1),
      ids,
      charges.map(({ apiKeyId }) => apiKeyId),
      charges.length,
      charges.map(({ price }) => price ?? 1),
      charges.map(({ hold }) => hold ?? false),
      at,
      optional(({ idempotencyKey }) => idempotencyKey),
      limits,
      limits?.map((limit) => (limit === null ? null : 'DAY')) ?? null,
      options.isRetry ?? false,
    ],
  );
  return { ids, outcomes: row.outcomes, balances: row.balances_after, originals: row.originals };
}

describe('charge', () => {
  test('takes and holds credits in batch order as far as the balance covers them', async () => {
    const workspaceId = await aWorkspace(10);
    const { id: apiKeyId } = await aKey(workspaceId);
    const of = (price: number, hold = false): ChargeRow => ({ workspaceId, apiKeyId, price, hold });
    const { outcomes, balances, originals } = await chargeAll([of(4), of(7), of(3, true), of(3), of(4), of(-1)]);
    expect(outcomes).toEqual(['done', 'insufficient', 'done', 'done', 'insufficient', 'unpriced']);
    expect(balances).toEqual([6, null, 6, 3, null, null]);
    expect(originals).toBeNull();
    expect(await account(workspaceId)).toEqual({ balance: 3, held: 3 });
    expect(
      await query(
        `SELECT "kind"::text, "credits", "heldCredits", "balanceAfter", "heldAfter" FROM "LedgerEntry"
         WHERE "workspaceId" = $1 ORDER BY "id"`,
        [workspaceId],
      ),
    ).toEqual([
      { kind: 'CHARGE', credits: -4, heldCredits: 0, balanceAfter: 6, heldAfter: 0 },
      { kind: 'HOLD', credits: 0, heldCredits: 3, balanceAfter: 6, heldAfter: 3 },
      { kind: 'CHARGE', credits: -3, heldCredits: 0, balanceAfter: 3, heldAfter: 3 },
    ]);
  });

  test('answers stale without an account, in another era, and after a change of the key or workspace', async () => {
    const [rich, poor] = [await aWorkspace(), await aWorkspace(null)];
    const [richKey, poorKey] = [(await aKey(rich)).id, (await aKey(poor)).id];
    const both: ChargeRow[] = [
      { workspaceId: rich, apiKeyId: richKey },
      { workspaceId: poor, apiKeyId: poorKey },
    ];
    expect((await chargeAll(both)).outcomes).toEqual(['done', 'stale']);
    expect((await chargeAll([{ workspaceId: poor, apiKeyId: poorKey }])).outcomes).toEqual(['stale']);
    expect((await chargeAll(both, { era: 'another' })).outcomes).toEqual(['stale', 'stale']);
    const seen = await snapshot();
    await query(`UPDATE "ApiKey" SET "name" = 'changed' WHERE "id" = $1`, [richKey]);
    const other = (await aKey(rich)).id;
    expect((await chargeAll([...both, { workspaceId: rich, apiKeyId: other }], { seen })).outcomes).toEqual([
      'stale',
      'stale',
      'done',
    ]);
    await query(`UPDATE "Workspace" SET "name" = 'changed' WHERE "id" = $1`, [rich]);
    expect((await chargeAll([{ workspaceId: rich, apiKeyId: other }], { seen })).outcomes).toEqual(['stale']);
  });

  test('replays the charge of an idempotency key from an earlier batch and from the same batch', async () => {
    const workspaceId = await aWorkspace();
    const { id: apiKeyId } = await aKey(workspaceId);
    const of = (idempotencyKey?: string): ChargeRow => ({
      workspaceId,
      apiKeyId,
      ...(idempotencyKey && { idempotencyKey }),
    });
    const first = await chargeAll([of('a'), of('b'), of('a'), of()]);
    expect(first.outcomes).toEqual(['done', 'done', 'replayed', 'done']);
    expect(first.originals).toEqual([null, null, first.ids[0], null]);
    const second = await chargeAll([of('b'), { ...of('c'), price: -1 }]);
    expect(second.outcomes).toEqual(['replayed', 'unpriced']);
    expect(second.originals).toEqual([first.ids[1], null]);
    expect(await account(workspaceId)).toEqual({ balance: 97, held: 0 });
  });

  test('answers the written charges of a retried batch unchanged and writes the others', async () => {
    const workspaceId = await aWorkspace();
    const { id: apiKeyId } = await aKey(workspaceId);
    const written: ChargeRow[] = [
      { workspaceId, apiKeyId, id: newId('charge') },
      { workspaceId, apiKeyId, id: newId('charge'), idempotencyKey: 'once' },
    ];
    const first = await chargeAll(written);
    const again = await chargeAll([...written, { workspaceId, apiKeyId, price: 5 }], { isRetry: true });
    expect(again.outcomes).toEqual(['done', 'done', 'done']);
    expect(again.balances).toEqual([...(first.balances as number[]), 93]);
    expect(await account(workspaceId)).toEqual({ balance: 93, held: 0 });
  });

  test('caps the spending of a key per period and does not limit keys without a spend limit', async () => {
    const workspaceId = await aWorkspace();
    const [limited, free] = [(await aKey(workspaceId)).id, (await aKey(workspaceId)).id];
    const capped: ChargeRow = { workspaceId, apiKeyId: limited, price: 2, spendLimit: 5 };
    const batch = [capped, { workspaceId, apiKeyId: free, price: 9 }, capped, capped, { ...capped, price: 1 }];
    expect((await chargeAll(batch)).outcomes).toEqual(['done', 'done', 'done', 'capped', 'done']);
    expect((await chargeAll([capped])).outcomes).toEqual(['capped']);
    expect(
      await query(`SELECT "credits", "startsAt"::text AS "start" FROM "KeySpending" WHERE "apiKeyId" = ANY ($1)`, [
        [limited, free],
      ]),
    ).toEqual([{ credits: 5, start: '2026-03-04 00:00:00+00' }]);
  });

  test('expires due grants before it decides', async () => {
    const workspaceId = await aWorkspace(0);
    const { id: apiKeyId } = await aKey(workspaceId);
    await aGrant(workspaceId, 10, '2026-03-04T05:00:00Z');
    expect((await chargeAll([{ workspaceId, apiKeyId }])).outcomes).toEqual(['insufficient']);
    expect(await account(workspaceId)).toEqual({ balance: 0, held: 0 });
  });
});

async function aGrant(workspaceId: string, credits: number, expiresAt: string | null) {
  await query(
    `INSERT INTO "CreditGrant" ("id", "workspaceId", "credits", "remaining", "expiresAt") VALUES (tollkeeper.new_id('grt'), $1, $2, $2, $3)`,
    [workspaceId, credits, expiresAt],
  );
  await query(
    `UPDATE "CreditAccount" SET "balance" = "balance" + $2, "expiresAt" = least("expiresAt", $3) WHERE "workspaceId" = $1`,
    [workspaceId, credits, expiresAt],
  );
}

describe('settle_grants', () => {
  const settle = (workspaceId: string) => query(`SELECT tollkeeper.settle_grants($1, $2)::text`, [workspaceId, at]);
  const remaining = async (workspaceId: string) =>
    (await query(`SELECT "remaining" FROM "CreditGrant" WHERE "workspaceId" = $1 ORDER BY "id"`, [workspaceId])).map(
      (row) => row.remaining,
    );

  test('deducts spending from the grants that expire first, and expires due credits that are not held', async () => {
    const workspaceId = await aWorkspace(0);
    await aGrant(workspaceId, 10, '2026-03-04T05:00:00Z');
    await aGrant(workspaceId, 20, null);
    await aGrant(workspaceId, 30, '2027-01-01T00:00:00Z');
    await query(`UPDATE "CreditAccount" SET "balance" = "balance" - 3, "held" = 2 WHERE "workspaceId" = $1`, [
      workspaceId,
    ]);
    await settle(workspaceId);
    expect(await remaining(workspaceId)).toEqual([2, 20, 30]);
    expect(await account(workspaceId)).toEqual({ balance: 52, held: 2 });
    expect(
      await query(`SELECT "kind"::text, "credits" FROM "LedgerEntry" WHERE "workspaceId" = $1`, [workspaceId]),
    ).toEqual([{ kind: 'EXPIRE', credits: -5 }]);
    await settle(workspaceId);
    expect(await remaining(workspaceId)).toEqual([2, 20, 30]);
  });

  test('creates a grant for credits that belong to no grant', async () => {
    const workspaceId = await aWorkspace(7);
    await settle(workspaceId);
    expect(await remaining(workspaceId)).toEqual([7]);
  });
});

test('new_id returns unique ids in the common format that sort in call order', async () => {
  const ids = (await query(`SELECT tollkeeper.new_id('led') AS id FROM generate_series(1, 200)`)).map(({ id }) =>
    String(id),
  );
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(200);
  for (const id of ids) expect(id).toMatch(/^led_[0-9a-f]{12}7[0-9a-f]{3}8[0-9a-f]{15}$/);
});

describe('publish_credit_alerts', () => {
  const update = (workspaceId: string, balance: number) =>
    one(
      `UPDATE "CreditAccount" SET "balance" = $2 WHERE "workspaceId" = $1
       RETURNING "lowSince" IS NOT NULL AS "low", "exhaustedSince" IS NOT NULL AS "exhausted"`,
      [workspaceId, balance],
    );

  test('publishes each alert once, and again only after credits are added', async () => {
    const workspaceId = await aWorkspace(100);
    const { id: apiKeyId } = await aKey(workspaceId);
    await query(
      `INSERT INTO "WebhookEndpoint" ("id", "workspaceId", "apiKeyId", "url", "eventTypes") VALUES ($1, $2, $3, 'https://example.com', '{}')`,
      [newId('webhookEndpoint'), workspaceId, apiKeyId],
    );
    await query(`UPDATE "CreditAccount" SET "lowAt" = 10 WHERE "workspaceId" = $1`, [workspaceId]);
    const alerts: Row[] = [];
    for (const balance of [50, 10, 5, 8, 0, 3, 40, 0]) alerts.push(await update(workspaceId, balance));
    const [none, low, both] = [
      { low: false, exhausted: false },
      { low: true, exhausted: false },
      { low: true, exhausted: true },
    ];
    expect(alerts).toEqual([none, low, low, low, both, low, none, both]);
    expect(
      (await query(`SELECT "type" FROM "WebhookEvent" WHERE "workspaceId" = $1 ORDER BY "id"`, [workspaceId])).map(
        ({ type }) => type,
      ),
    ).toEqual(['credits.low', 'credits.exhausted', 'credits.low', 'credits.exhausted']);
  });

  test('does not end an alert when all credits are held after an addition', async () => {
    const workspaceId = await aWorkspace(5);
    await query(`UPDATE "CreditAccount" SET "held" = 5 WHERE "workspaceId" = $1`, [workspaceId]);
    const { exhausted } = await one(
      `UPDATE "CreditAccount" SET "balance" = 6, "held" = 6 WHERE "workspaceId" = $1 RETURNING "exhaustedSince" IS NOT NULL AS "exhausted"`,
      [workspaceId],
    );
    expect(exhausted).toBe(true);
  });
});

describe('claim_idempotency_key', () => {
  const claim = (key: string, space = 's', ends: string | null = null) =>
    query(
      `SELECT "operation", "result" FROM tollkeeper.claim_idempotency_key(
         sha256(convert_to($1, 'UTF8')), 'wsp_1', $2, 'createApiKey', NULL, NULL, NULL, now(), $3::timestamptz
       )`,
      [key, space, ends],
    );
  const record = (key: string, expiresAt: string) =>
    query(
      `INSERT INTO "IdempotencyRecord" ("keyHash", "workspaceId", "space", "operation", "result", "expiresAt")
       VALUES (sha256(convert_to($1, 'UTF8')), 'wsp_1', 's', 'createApiKey', '"key_1"', now() + $2::interval)`,
      [key, expiresAt],
    );

  test('claims an unused key, and returns the record of a used one', async () => {
    await record('taken', '1 hour');
    expect(await claim('taken')).toEqual([{ operation: 'createApiKey', result: '"key_1"' }]);
    expect(await rolledBack(() => claim('free'))).toEqual([]);
  });

  test('claims a key whose record has expired', async () => {
    await record('expired', '-1 hour');
    expect(await rolledBack(() => claim('expired'))).toEqual([]);
  });

  test('fails with a serialization failure when an expired record cannot be deleted', async () => {
    await record('stuck', '-1 hour');
    await rolledBack(async () => {
      await query(`CREATE FUNCTION pg_temp.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`);
      await query(
        `CREATE TRIGGER "keep" BEFORE DELETE ON "IdempotencyRecord" FOR EACH ROW EXECUTE FUNCTION pg_temp.keep()`,
      );
      await expect(claim('stuck')).rejects.toMatchObject({ code: '40001' });
    });
  });

  test('prevents the commit of a record without a result', async () => {
    await query('BEGIN');
    await claim('unfinished');
    await expect(query('COMMIT')).rejects.toThrow('has no result');
    await query('BEGIN');
    await claim('finished');
    await query(`UPDATE "IdempotencyRecord" SET "result" = '1' WHERE "keyHash" = sha256('finished')`);
    await query('COMMIT');
    expect(await claim('finished')).toEqual([{ operation: 'createApiKey', result: '1' }]);
  });
});

describe('refresh_keys', () => {
  const refresh = (seen: unknown, hashes: string[] | null) =>
    one('SELECT * FROM tollkeeper.refresh_keys($1::pg_snapshot, $2::text[])', [seen, hashes]);

  test('returns the ids of all changed keys and workspaces, including those of changed secrets and features', async () => {
    const workspaceId = await aWorkspace();
    const [given, taken] = [await aKey(workspaceId), await aKey(workspaceId)];
    const seen = await snapshot();
    expect(await refresh(null, null)).toMatchObject({ changed: null, records: null });
    expect(await refresh(seen, null)).toMatchObject({ changed: null, records: null });
    await query(`UPDATE "KeySecret" SET "apiKeyId" = $1 WHERE "id" = $2`, [given.id, taken.secret]);
    await query(
      `INSERT INTO "WorkspaceFeature" ("workspaceId", "product", "feature") VALUES ($1, 'default', 'exports')`,
      [workspaceId],
    );
    const { changed } = await refresh(seen, null);
    expect(new Set(changed as string[])).toEqual(new Set([workspaceId, given.id, taken.id]));
  });

  test('returns the records of known secrets and nothing for unknown ones', async () => {
    const { id, secret } = await aKey(await aWorkspace());
    const { hash } = await one(`SELECT encode(sha256($1), 'hex') AS hash`, [Buffer.from(secret)]);
    const { records } = await refresh(null, [String(hash), '00']);
    expect(records).toMatchObject([{ hash, secretId: secret, id, permissions: [], features: [] }]);
  });
});

test('page_of_keys pages through secrets from the newest and skips retired and revoked ones', async () => {
  const workspaceId = await aWorkspace();
  const keys: { id: string; secret: string }[] = [];
  for (let made = 0; made < 5; made += 1) keys.push(await aKey(workspaceId));
  const [first, retired, revoked, fourth, newest] = keys;
  await query(`UPDATE "KeySecret" SET "retiresAt" = now() WHERE "id" = $1`, [retired?.secret]);
  await query(`UPDATE "ApiKey" SET "revokedAt" = now() WHERE "id" = $1`, [revoked?.id]);
  const page = (before: unknown, size: number) =>
    one('SELECT * FROM tollkeeper.page_of_keys(NULL, $1, $2)', [before, size]);
  const { last, records, changed } = await page(null, 3);
  expect({ last, changed }).toEqual({ last: revoked?.secret, changed: null });
  expect((records as { id: string }[]).map(({ id }) => id).sort()).toEqual([fourth?.id, newest?.id]);
  const next = await page(last, 2);
  expect(next).toMatchObject({ last: first?.secret, records: [{ id: first?.id }] });
  const { id: oldest } = await one('SELECT min("id") AS id FROM "KeySecret"');
  expect(await page(oldest, 2)).toMatchObject({ last: null, records: null });
});

describe('guards', () => {
  test('prevent the removal of rows that the ledger refers to, and allow that of a workspace without entries', async () => {
    const workspaceId = await aWorkspace();
    const { id: apiKeyId } = await aKey(workspaceId);
    await chargeAll([{ workspaceId, apiKeyId }]);
    const empty = await aWorkspace(null);
    const refused = (sql: string, ...values: unknown[]) =>
      expect(query(sql, values)).rejects.toThrow('never removed or renamed');
    await refused(`DELETE FROM "Workspace" WHERE "id" = $1`, workspaceId);
    await refused(`UPDATE "Workspace" SET "id" = 'wsp_0' WHERE "id" = $1`, empty);
    await refused(`DELETE FROM "ApiKey" WHERE "id" = $1`, apiKeyId);
    await refused(`DELETE FROM "Charge" WHERE "workspaceId" = $1`, workspaceId);
    await refused(`TRUNCATE "Workspace", "ApiKey" CASCADE`);
    expect(await query(`DELETE FROM "Workspace" WHERE "id" = $1 RETURNING "name"`, [empty])).toHaveLength(1);
  });

  test('make the ledger, the audit trail and its chains immutable, and prevent TRUNCATE of cached tables', async () => {
    const event = () =>
      one(
        `INSERT INTO "AuditEvent" ("id", "actorKind", "action", "subjectId", "workspaceId")
         VALUES (tollkeeper.new_id('aud'), 'SYSTEM', 'test.done', 'x', 'wsp_audit')
         RETURNING "sequence", encode("previousHash", 'hex') AS "previous", encode("hash", 'hex') AS "hash"`,
      );
    const first = await event();
    expect(first).toMatchObject({ sequence: 1, previous: '' });
    expect(await event()).toMatchObject({ sequence: 2, previous: first.hash });
    await expect(query(`UPDATE "AuditEvent" SET "action" = 'x'`)).rejects.toThrow('never changed or removed');
    await expect(query(`DELETE FROM "LedgerEntry"`)).rejects.toThrow('never changed or removed');
    await expect(query(`UPDATE "AuditChain" SET "sequence" = 9`)).rejects.toThrow('change only with the events');
    await expect(query(`DELETE FROM "AuditChain"`)).rejects.toThrow('change only with the events');
    await expect(query(`TRUNCATE "KeySecret"`)).rejects.toThrow('Delete its rows instead');
  });
});

describe.skipIf(!hasExtension)('plpgsql_check', () => {
  test('reports no problem in any function', async () => {
    expect(
      await query(
        `SELECT f."proname", c."lineno", c."level", c."message", c."detail"
         FROM pg_proc f
         JOIN pg_language l ON l.oid = f.prolang AND l.lanname = 'plpgsql'
         LEFT JOIN pg_trigger t ON t.tgfoid = f.oid AND NOT t.tgisinternal
         CROSS JOIN LATERAL plpgsql_check_function_tb(f.oid, coalesce(t.tgrelid, 0), all_warnings => true) c
         WHERE f.pronamespace = 'tollkeeper'::regnamespace`,
      ),
    ).toEqual([]);
  });

  test('reports every branch of every function as executed by the tests above', async () => {
    const covered = await query(
      `SELECT f."proname" AS "name", plpgsql_coverage_branches(f.oid) AS "branches",
         (SELECT json_agg(s."stmtname" || ' of line ' || s."lineno")
          FROM plpgsql_profiler_function_statements_tb(f.oid) s WHERE s."exec_stmts" + s."exec_stmts_err" = 0) AS "missed"
       FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang AND l.lanname = 'plpgsql'
       WHERE f.pronamespace = 'tollkeeper'::regnamespace ORDER BY 1`,
    );
    expect(covered).toEqual(covered.map(({ name }) => ({ name, branches: 1, missed: null })));
    const files = (await listFunctions()).filter(({ script }) => script.includes('LANGUAGE plpgsql'));
    expect(covered.map(({ name }) => name)).toEqual(files.map(({ name }) => name));
  });
});
