import { expect } from 'vitest';
import { graphql } from '../generated/index.js';
import { type Client, expectMember } from '../harness.js';
import type { OwnPostgresql } from './own-postgresql.js';
import type { ChargeOrder, GrantOrder, RequestLog } from './request-log.js';

const creditsDocument = graphql(`
  query CreditsOfFaults($workspaceId: ID!) {
    credits(workspaceId: $workspaceId) { balance held available }
  }
`);

const lastGrantDocument = graphql(`
  mutation LastGrantOfFaults($input: GrantCreditsInput!) {
    grantCredits(input: $input) { __typename ... on GrantCreditsPayload { entry { id } } ... on Error { message } }
  }
`);

/** Queries for accounts, charges and grants that contradict the ledger. All must be empty at any time. */
const contradictions = {
  'accounts that are not the sum of their lines': `
    SELECT a."workspaceId", a."balance", a."held", e.* FROM "CreditAccount" a
    LEFT JOIN (
      SELECT "workspaceId", sum("credits") AS "credits", sum("heldCredits") AS "heldCredits" FROM "LedgerEntry" GROUP BY 1
    ) e ON e."workspaceId" = a."workspaceId"
    WHERE a."balance" <> coalesce(e."credits", 0) OR a."held" <> coalesce(e."heldCredits", 0) OR a."held" < 0 OR a."balance" < a."held"`,
  'accounts that hold something else than their holds': `
    SELECT a."workspaceId", a."held" FROM "CreditAccount" a
    WHERE a."held" <> (
      SELECT coalesce(sum(c."credits"), 0) FROM "Charge" c WHERE c."workspaceId" = a."workspaceId" AND c."state" = 'HELD'
    )`,
  'lines that do not follow from the one before': `
    SELECT * FROM (
      SELECT "id", "balanceAfter", "heldAfter", sum("credits") OVER so_far AS "balance", sum("heldCredits") OVER so_far AS "held"
      FROM "LedgerEntry" WINDOW so_far AS (PARTITION BY "workspaceId" ORDER BY "id")
    ) e WHERE "balanceAfter" <> "balance" OR "heldAfter" <> "held"`,
  'charges whose lines say something else': `
    SELECT c."id", c."state", c."credits", c."capturedCredits", l.* FROM "Charge" c
    LEFT JOIN (
      SELECT "chargeId", string_agg("kind"::text, ' ' ORDER BY "id") AS "kinds", sum("credits") AS "taken", sum("heldCredits") AS "held"
      FROM "LedgerEntry" GROUP BY 1
    ) l ON l."chargeId" = c."id"
    WHERE (l."kinds", l."taken", l."held") IS DISTINCT FROM (
      CASE c."state" WHEN 'POSTED' THEN 'CHARGE' WHEN 'HELD' THEN 'HOLD' WHEN 'CAPTURED' THEN 'HOLD CAPTURE' WHEN 'RELEASED' THEN 'HOLD RELEASE' END,
      CASE c."state" WHEN 'POSTED' THEN -c."credits" WHEN 'CAPTURED' THEN -c."capturedCredits" ELSE 0 END,
      CASE c."state" WHEN 'HELD' THEN c."credits" ELSE 0 END
    )`,
  'lines of charges that do not stand': `
    SELECT e."id" FROM "LedgerEntry" e LEFT JOIN "Charge" c ON c."id" = e."chargeId" WHERE e."chargeId" IS NOT NULL AND c."id" IS NULL`,
  'workspaces whose grants are not those of the ledger': `
    SELECT w."id", e."credits", g."credits" FROM "Workspace" w
    LEFT JOIN (SELECT "workspaceId", sum("credits") AS "credits", count(*) AS "count" FROM "LedgerEntry" WHERE "kind" = 'GRANT' GROUP BY 1) e
      ON e."workspaceId" = w."id"
    LEFT JOIN (SELECT "workspaceId", sum("credits") AS "credits", count(*) AS "count" FROM "CreditGrant" GROUP BY 1) g
      ON g."workspaceId" = w."id"
    WHERE (e."credits", e."count") IS DISTINCT FROM (g."credits", g."count")`,
  'grants without their record': `
    SELECT e."id" FROM "LedgerEntry" e WHERE e."kind" = 'GRANT'
      AND NOT EXISTS (SELECT FROM "AuditEvent" a WHERE a."subjectId" = e."id" AND a."action" = 'credits.granted')`,
};

/** Workspaces in which the remaining credits of all grants do not add up to the balance. */
const unsettled = `
  SELECT a."workspaceId", a."balance", g."remaining" FROM "CreditAccount" a
  JOIN (SELECT "workspaceId", sum("remaining") AS "remaining" FROM "CreditGrant" GROUP BY 1) g ON g."workspaceId" = a."workspaceId"
  WHERE a."workspaceId" = ANY ($1) AND a."balance" <> g."remaining"`;

interface Charged {
  id: string;
  workspaceId: string;
  quantity: number;
  credits: number;
  capturedCredits: number;
  state: string;
  idempotencyKey: string | null;
}

interface Granted {
  id: string;
  workspaceId: string;
  credits: number;
  reason: string;
}

/** Unacknowledged effects in the database. */
export interface Found {
  /** The number of charges and grants that were written but not acknowledged. */
  readonly unacknowledged: number;
}

/** Expects a consistent database that contains everything that the servers acknowledged. */
export async function expectConsistentDatabase(
  { postgresql, databaseUrl, backend }: { postgresql: OwnPostgresql; databaseUrl: string; backend: Client },
  { charges, grants }: RequestLog,
): Promise<Found> {
  const find = <Row extends object>(text: string, values?: readonly unknown[]) =>
    postgresql.query<Row>(databaseUrl, text, values);
  for (const [name, text] of Object.entries(contradictions)) expect(await find(text), name).toEqual([]);

  const workspaceIds = [...new Set([...charges, ...grants].map(({ workspaceId }) => workspaceId))];
  const charged = await find<Charged>('SELECT * FROM "Charge" WHERE "workspaceId" = ANY ($1)', [workspaceIds]);
  const granted = await find<Granted>(
    `SELECT "id", "workspaceId", "credits", "reason" FROM "LedgerEntry" WHERE "workspaceId" = ANY ($1) AND "reason" LIKE 'order %'`,
    [workspaceIds],
  );
  const unacknowledged = matchCharges(charges, charged) + matchGrants(grants, granted);

  const sums = await find<{ workspaceId: string; balance: number; held: number }>(
    `SELECT "workspaceId", sum("credits")::int AS "balance", sum("heldCredits")::int AS "held"
     FROM "LedgerEntry" WHERE "workspaceId" = ANY ($1) GROUP BY 1`,
    [workspaceIds],
  );
  expect(sums).toHaveLength(workspaceIds.length);
  for (const { workspaceId, balance, held } of sums) {
    const { credits } = await backend.run(creditsDocument, { workspaceId });
    expect(credits).toEqual({ balance, held, available: balance - held });
    const input = { workspaceId, credits: 1, reason: 'to settle the others' };
    expectMember((await backend.run(lastGrantDocument, { input })).grantCredits, 'GrantCreditsPayload');
  }
  expect(await find(unsettled, [workspaceIds]), 'workspaces whose grants do not make the balance').toEqual([]);
  return { unacknowledged };
}

/** @returns how many stand that were not acknowledged */
function matchCharges(orders: readonly ChargeOrder[], charged: readonly Charged[]): number {
  const standing = groupBy(charged, ({ quantity }) => String(quantity));
  let unacknowledged = 0;
  for (const order of orders) {
    const { workspaceId, quantity, credits, idempotencyKey, chargeId } = order;
    const found = standing.get(String(quantity)) ?? [];
    standing.delete(String(quantity));
    if (chargeId === null) {
      expect(found.length, `charges of the order ${JSON.stringify(order)}`).toBeLessThanOrEqual(1);
      unacknowledged += found.length;
    } else {
      const state = order.settled?.state ?? (order.hold ? 'HELD' : 'POSTED');
      const capturedCredits = order.settled?.credits ?? 0;
      const expected = { id: chargeId, workspaceId, credits, capturedCredits, state, idempotencyKey };
      expect(found, `charges of the order ${JSON.stringify(order)}`).toEqual([expect.objectContaining(expected)]);
    }
  }
  expect([...standing.values()], 'charges without a request').toEqual([]);
  return unacknowledged;
}

/** @returns how many stand that were not acknowledged */
function matchGrants(orders: readonly GrantOrder[], granted: readonly Granted[]): number {
  const standing = groupBy(granted, ({ reason }) => reason);
  let unacknowledged = 0;
  for (const order of orders) {
    const { workspaceId, credits, reason, entryId } = order;
    const found = standing.get(reason) ?? [];
    standing.delete(reason);
    if (entryId === null) {
      expect(found.length, `grants of the order ${JSON.stringify(order)}`).toBeLessThanOrEqual(1);
      unacknowledged += found.length;
    } else {
      expect(found, `grants of the order ${JSON.stringify(order)}`).toEqual([
        { id: entryId, workspaceId, credits, reason },
      ]);
    }
  }
  expect([...standing.values()], 'grants without a request').toEqual([]);
  return unacknowledged;
}

function groupBy<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(nameOf(item), [...(groups.get(nameOf(item)) ?? []), item]);
  return groups;
}
