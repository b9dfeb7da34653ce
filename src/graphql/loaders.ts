import DataLoader from 'dataloader';
import type { Deps } from '../domain/deps.js';
import type { Account } from '../domain/ledger/ledger.js';
import { Prisma, type WorkspaceFeature } from '../generated/prisma/client.js';
import { secretsLoader } from './key-secret-loader.js';
import { usageLoader } from './usage-loader.js';

/** Where a page stands, as Relay's arguments say it. Lists are newest first, and ids sort by time. */
export interface Keyset {
  /** Only what is older than this id. */
  readonly after?: string | undefined;
  /** Only what is newer than this id. */
  readonly before?: string | undefined;
  /** One more than the page has, to see whether there is another. */
  readonly limit: number;
  /** Whether the page is read from the end of the list. */
  readonly inverted: boolean;
}

/** A page under one parent. */
export interface NestedPage extends Keyset {
  readonly parentId: string;
}

/** Lists that hang under a workspace, newest first. */
const nested = {
  apiKeys: Prisma.sql`SELECT "id" FROM "ApiKey" WHERE "workspaceId" = p."id" AND "deletedAt" IS NULL`,
  entries: Prisma.sql`SELECT "id" FROM "LedgerEntry" WHERE "workspaceId" = p."id"`,
  invitations: Prisma.sql`SELECT "id" FROM "Invitation" WHERE "workspaceId" = p."id" AND "acceptedAt" IS NULL`,
  members: Prisma.sql`SELECT "id" FROM "Member" WHERE "workspaceId" = p."id"`,
};

export type Loaders = ReturnType<typeof createLoaders>;

/** What one request looks up together. */
export function createLoaders(deps: Pick<Deps, 'db'>) {
  const { db } = deps;
  const byId = (ids: string[]) => ({ where: { id: { in: ids } } });
  return {
    apiKeysOf: pageLoader(deps, nested.apiKeys, (ids) => db.apiKey.findMany(byId(ids))),
    entriesOf: pageLoader(deps, nested.entries, (ids) => db.ledgerEntry.findMany(byId(ids))),
    invitationsOf: pageLoader(deps, nested.invitations, (ids) => db.invitation.findMany(byId(ids))),
    membersOf: pageLoader(deps, nested.members, (ids) => db.member.findMany(byId(ids))),
    usersById: rowLoader((ids) => db.user.findMany(byId(ids))),
    workspacesById: rowLoader((ids) => db.workspace.findMany(byId(ids))),
    chargesById: rowLoader((ids) => db.charge.findMany(byId(ids))),
    /** The features that are on for a workspace, by product and name. */
    featuresOf: new DataLoader<string, WorkspaceFeature[]>(async (workspaceIds) => {
      const features = await db.workspaceFeature.findMany({
        where: { workspaceId: { in: [...workspaceIds] } },
        orderBy: [{ product: 'asc' }, { feature: 'asc' }],
      });
      return workspaceIds.map((id) => features.filter(({ workspaceId }) => workspaceId === id));
    }),
    /** The credit account of a workspace. */
    accountOf: new DataLoader<string, Account>(async (workspaceIds) => {
      const accounts = await db.creditAccount.findMany({ where: { workspaceId: { in: [...workspaceIds] } } });
      const byWorkspace = new Map(accounts.map((account) => [account.workspaceId, account]));
      return workspaceIds.map((workspaceId) => byWorkspace.get(workspaceId) ?? { balance: 0, held: 0 });
    }),
    /** The signing secret that signs for a key now. */
    signingSecretOf: new DataLoader<string, { preview: string; createdAt: Date } | null>(async (apiKeyIds) => {
      const secrets = await db.signingSecret.findMany({ where: { apiKeyId: { in: [...apiKeyIds] }, retiresAt: null } });
      const byKey = new Map(secrets.map((secret) => [secret.apiKeyId, secret]));
      return apiKeyIds.map((apiKeyId) => byKey.get(apiKeyId) ?? null);
    }),
    secretsOf: secretsLoader(db),
    usageOfKey: usageLoader(db, 'apiKey'),
    usageOfWorkspace: usageLoader(db, 'workspace'),
  };
}

/** What rows refer to, all of it in one statement. A reference always leads somewhere: the foreign keys see to it. */
export function rowLoader<Row extends { id: string }>(
  findRows: (ids: string[]) => Promise<Row[]>,
): DataLoader<string, Row> {
  return new DataLoader(async (ids) => {
    const rows = new Map((await findRows([...ids])).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id) ?? new Error(`There is no row ${id}.`));
  });
}

/**
 * Pages of many parents in two statements. Prisma would read every row under every parent and cut afterwards; a lateral join reads one
 * page of each from the index.
 */
export function pageLoader<Row extends { id: string }>(
  { db }: Pick<Deps, 'db'>,
  rowsOfParent: Prisma.Sql,
  findRows: (ids: string[]) => Promise<Row[]>,
): DataLoader<NestedPage, Row[], string> {
  return new DataLoader<NestedPage, Row[], string>(
    async (pages) => {
      const ids = await Promise.all(
        groupByShape(pages).map(
          ([shape, parentIds]) =>
            db.$queryRaw<{ parentId: string; id: string }[]>`
            SELECT p."id" AS "parentId", r."id" FROM unnest(${parentIds}::text[]) AS p("id")
            CROSS JOIN LATERAL (${rowsOfParent} ${boundsOf(shape)} LIMIT ${shape.limit}) r`,
        ),
      );
      const found = ids.flat();
      const rows = new Map((await findRows(found.map(({ id }) => id))).map((row) => [row.id, row]));
      const groups = groupByShape(pages);
      return pages.map((page) => {
        const group = groups.findIndex(([shape]) => shapeOf(shape) === shapeOf(page));
        return (ids[group] ?? [])
          .filter(({ parentId }) => parentId === page.parentId)
          .map(({ id }) => rows.get(id))
          .filter((row) => row !== undefined);
      });
    },
    { cacheKeyFn: (page) => `${page.parentId} ${shapeOf(page)}` },
  );
}

function boundsOf({ after, before, inverted }: NestedPage): Prisma.Sql {
  const older = after === undefined ? Prisma.empty : Prisma.sql`AND "id" < ${after}`;
  const newer = before === undefined ? Prisma.empty : Prisma.sql`AND "id" > ${before}`;
  return Prisma.sql`${older} ${newer} ORDER BY "id" ${inverted ? Prisma.raw('ASC') : Prisma.raw('DESC')}`;
}

function shapeOf({ after, before, limit, inverted }: NestedPage): string {
  return JSON.stringify([after, before, limit, inverted]);
}

function groupByShape(pages: readonly NestedPage[]): [NestedPage, string[]][] {
  const groups = new Map<string, [NestedPage, string[]]>();
  for (const page of pages) {
    const group = groups.get(shapeOf(page)) ?? [page, []];
    group[1].push(page.parentId);
    groups.set(shapeOf(page), group);
  }
  return [...groups.values()];
}
