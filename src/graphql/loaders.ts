import DataLoader from 'dataloader';
import type { Db } from '../db/transaction.js';
import { mayHold } from '../domain/access/permissions.js';
import type { Principal } from '../domain/access/principal.js';
import {
  isNothing,
  visibleApiKeys,
  visibleCharges,
  visibleInvitations,
  visibleKeySecrets,
  visibleLedgerEntries,
  visibleMembers,
  visibleUsers,
  visibleWebhookAttempts,
  visibleWebhookDeliveries,
  visibleWebhookEndpoints,
  visibleWebhookEvents,
  visibleWorkspaces,
} from '../domain/access/visibility.js';
import { findReadableEvents } from '../domain/audit/read.js';
import type { Deps } from '../domain/deps.js';
import type { Account } from '../domain/ledger/ledger.js';
import { Prisma, type WorkspaceFeature } from '../generated/prisma/client.js';
import { secretsLoader } from './key-secret-loader.js';
import { findNodeType, type NodeType } from './node-types.js';
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
export function createLoaders(deps: Pick<Deps, 'db'>, principal: Principal) {
  const { db } = deps;
  const byId = (ids: string[]) => ({ where: { id: { in: ids } } });
  return {
    /** Anything by its id; null where it does not exist or the principal does not see it. */
    node: nodeLoader(db, principal),
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

type Row = { readonly id: string };
type FindRows = (ids: string[]) => Promise<Row[]>;

/** How rows of each type are found by their ids, as far as a principal sees them; null where it sees none at all. */
const findVisible: Record<NodeType, (db: Db, principal: Principal) => FindRows | null> = {
  ApiKey: (db, principal) => finder(visibleApiKeys(principal), (where) => db.apiKey.findMany({ where })),
  AuditEvent: (db, principal) =>
    mayHold(principal, 'audit:read') ? (ids) => findReadableEvents(db, principal, ids) : null,
  Charge: (db, principal) => finder(visibleCharges(principal), (where) => db.charge.findMany({ where })),
  Invitation: (db, principal) => finder(visibleInvitations(principal), (where) => db.invitation.findMany({ where })),
  KeySecret: (db, principal) => finder(visibleKeySecrets(principal), (where) => db.keySecret.findMany({ where })),
  LedgerEntry: (db, principal) =>
    finder(visibleLedgerEntries(principal), (where) => db.ledgerEntry.findMany({ where })),
  Member: (db, principal) => finder(visibleMembers(principal), (where) => db.member.findMany({ where })),
  User: (db, principal) => finder(visibleUsers(principal), (where) => db.user.findMany({ where })),
  WebhookAttempt: (db, principal) =>
    finder(visibleWebhookAttempts(principal), (where) => db.webhookAttempt.findMany({ where })),
  WebhookDelivery: (db, principal) =>
    finder(visibleWebhookDeliveries(principal), (where) => db.webhookDelivery.findMany({ where })),
  WebhookEndpoint: (db, principal) =>
    finder(visibleWebhookEndpoints(principal), (where) => db.webhookEndpoint.findMany({ where })),
  WebhookEvent: (db, principal) =>
    finder(visibleWebhookEvents(principal), (where) => db.webhookEvent.findMany({ where })),
  Workspace: (db, principal) => finder(visibleWorkspaces(principal), (where) => db.workspace.findMany({ where })),
};

function finder<Where extends object>(
  visible: Where,
  findMany: (where: { AND: [{ id: { in: string[] } }, Where] }) => Promise<Row[]>,
): FindRows | null {
  return isNothing(visible) ? null : (ids) => findMany({ AND: [{ id: { in: ids } }, visible] });
}

/**
 * Looks up nodes by their ids: each id once a request, and all ids of a type that are asked for together in one statement. Nothing is
 * looked up for text that is no id, or in a table of which the principal sees no row.
 */
function nodeLoader(db: Db, principal: Principal): (id: string) => Promise<Row | null> | null {
  const loaders = new Map<NodeType, DataLoader<string, Row | null> | null>();
  return (id) => {
    const type = findNodeType(id);
    if (type === undefined) return null;
    let loader = loaders.get(type);
    if (loader === undefined) {
      const findRows = findVisible[type](db, principal);
      loader =
        findRows &&
        new DataLoader<string, Row | null>(async (ids) => {
          const rows = new Map((await findRows([...ids])).map((row) => [row.id, row]));
          return ids.map((each) => rows.get(each) ?? null);
        });
      loaders.set(type, loader);
    }
    return loader?.load(id) ?? null;
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
