import DataLoader from 'dataloader';
import type { Clock } from '../clock.js';
import type { Keyset } from '../db/keyset.js';
import type { Db } from '../db/transaction.js';
import { mayHold, type Principal } from '../domain/access/principal.js';
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
import { verifyChain } from '../domain/audit/chain.js';
import { findActors, findReadableEvents } from '../domain/audit/read.js';
import { listApiKeysOf, readSecretsOf, readSigningSecretsOf } from '../domain/keys/read.js';
import { listEntriesOf, readAccountsOf } from '../domain/ledger/read.js';
import type { UsageBuckets } from '../domain/usage/buckets.js';
import { type LastUses, neverUsed, readLastUses } from '../domain/usage/last-use.js';
import { readUsage, type UsageBucket, type UsageOwner } from '../domain/usage/read.js';
import { listAttemptsOf, listDeliveriesOf } from '../domain/webhooks/read.js';
import type { InvitationState } from '../domain/workspaces/invitation-state.js';
import { listInvitationsOf, listMembersOf, readFeaturesOf } from '../domain/workspaces/read.js';
import type { ApiKey, Invitation, KeySecret } from '../generated/prisma/client.js';
import { findNodeType, type NodeType } from './node-types.js';

/**
 * The most events of a chain that one request checks. The database hashes some ten thousand of them in a
 * tenth of a second.
 */
export const chainCheckMax = 10_000;

export type Loaders = ReturnType<typeof createLoaders>;

/**
 * Everything that a request looks up in batches: made for one request, and each part when it is first used.
 */
export function createLoaders({ db, clock }: { readonly db: Db; readonly clock: Clock }, principal: Principal) {
  return lazily({
    /** What can be looked up by its id, as far as the principal sees it. */
    nodes: () => createNodeFinders(db, principal),

    // What rows refer to. A principal that sees a row may see what it refers to.
    apiKeysById: () => rowLoader((query) => db.apiKey.findMany(query)),
    chargesById: () => rowLoader((query) => db.charge.findMany(query)),
    usersById: () => rowLoader((query) => db.user.findMany(query)),
    webhookEndpointsById: () => rowLoader((query) => db.webhookEndpoint.findMany(query)),
    webhookEventsById: () => rowLoader((query) => db.webhookEvent.findMany(query)),
    workspacesById: () => rowLoader((query) => db.workspace.findMany(query)),
    /**
     * The users behind audit events, by `workspaceId userId`; null for users that the principal does not see.
     */
    auditActors: () => batchLoader((keys: readonly string[]) => findActors(db, principal, keys), null),

    // Pages under a parent.
    apiKeysOf: () => pageLoader((ids, page) => listApiKeysOf(db, principal, ids, page)),
    attemptsOf: () => pageLoader((ids, page) => listAttemptsOf(db, ids, page)),
    deliveriesOf: () => pageLoader((ids, page) => listDeliveriesOf(db, ids, page)),
    entriesOf: () => pageLoader((ids, page) => listEntriesOf(db, ids, page)),
    /** By the state of the invitations; null: in any state. */
    invitationsOf: () =>
      loaderPerFilter<InvitationState | null, Invitation>((state) =>
        pageLoader((ids, page) => listInvitationsOf(db, ids, state, page, clock())),
      ),
    membersOf: () => pageLoader((ids, page) => listMembersOf(db, ids, page)),

    // Of a workspace.
    /** Not cached: each mutation of a request shows the account as it left it. */
    accountOf: () =>
      batchLoader((ids) => readAccountsOf(db, ids), { balance: 0, held: 0, lowAt: null }, { cache: false }),
    featuresOf: () => batchLoader((ids) => readFeaturesOf(db, ids), []),
    usageOfWorkspace: () => usageLoader(db, 'workspace'),
    /**
     * Whether the newest {@link chainCheckMax} events of a workspace are as they were recorded. One chain is
     * checked after the other.
     */
    isChainIntact: () =>
      new DataLoader<string, boolean>(async (workspaceIds) => {
        const intact: boolean[] = [];
        for (const id of workspaceIds) intact.push((await verifyChain(db, id, chainCheckMax)).fault === null);
        return intact;
      }),

    // Of a key.
    secretsOf: () =>
      new DataLoader<Pick<ApiKey, 'id' | 'workspaceId'>, readonly KeySecret[], string>(
        async (keys) => {
          const secrets = await readSecretsOf(db, keys);
          return keys.map(({ id }) => secrets.get(id) ?? []);
        },
        { cacheKeyFn: ({ id }) => id },
      ),
    lastUsesOf: () =>
      new DataLoader<Pick<ApiKey, 'id' | 'workspaceId'>, LastUses, string>(
        async (keys) => {
          const uses = await readLastUses(db, keys);
          return keys.map(({ id }) => uses.get(id) ?? neverUsed);
        },
        { cacheKeyFn: ({ id }) => id },
      ),
    signingSecretOf: () => batchLoader((ids) => readSigningSecretsOf(db, ids), null),
    usageOfKey: () => usageLoader(db, 'apiKey'),
  });
}

/** Looks up a node of one type by its id; null where it does not exist or the principal does not see it. */
type FindNode<Row> = (id: string) => Promise<Row | null> | null;

function createNodeFinders(db: Db, principal: Principal) {
  return lazily({
    ApiKey: () => visibleFinder('ApiKey', visibleApiKeys(principal), (query) => db.apiKey.findMany(query)),
    AuditEvent: () =>
      nodeFinder(
        'AuditEvent',
        mayHold(principal, 'audit:read') ? (ids) => findReadableEvents(db, principal, ids) : null,
      ),
    Charge: () => visibleFinder('Charge', visibleCharges(principal), (query) => db.charge.findMany(query)),
    Invitation: () =>
      visibleFinder('Invitation', visibleInvitations(principal), (query) => db.invitation.findMany(query)),
    KeySecret: () => visibleFinder('KeySecret', visibleKeySecrets(principal), (query) => db.keySecret.findMany(query)),
    LedgerEntry: () =>
      visibleFinder('LedgerEntry', visibleLedgerEntries(principal), (query) => db.ledgerEntry.findMany(query)),
    Member: () => visibleFinder('Member', visibleMembers(principal), (query) => db.member.findMany(query)),
    User: () => visibleFinder('User', visibleUsers(principal), (query) => db.user.findMany(query)),
    WebhookAttempt: () =>
      visibleFinder('WebhookAttempt', visibleWebhookAttempts(principal), (query) => db.webhookAttempt.findMany(query)),
    WebhookDelivery: () =>
      visibleFinder('WebhookDelivery', visibleWebhookDeliveries(principal), (query) =>
        db.webhookDelivery.findMany(query),
      ),
    WebhookEndpoint: () =>
      visibleFinder('WebhookEndpoint', visibleWebhookEndpoints(principal), (query) =>
        db.webhookEndpoint.findMany(query),
      ),
    WebhookEvent: () =>
      visibleFinder('WebhookEvent', visibleWebhookEvents(principal), (query) => db.webhookEvent.findMany(query)),
    Workspace: () => visibleFinder('Workspace', visibleWorkspaces(principal), (query) => db.workspace.findMany(query)),
  } satisfies Record<NodeType, () => FindNode<{ readonly id: string }>>);
}

/** Finds nodes among the rows that match a filter of visibility.ts. */
function visibleFinder<Row extends { readonly id: string }, Visible extends object>(
  type: NodeType,
  visible: Visible,
  findMany: (query: { where: { AND: [{ id: { in: string[] } }, Visible] } }) => Promise<Row[]>,
): FindNode<Row> {
  const findRows = (ids: string[]) => findMany({ where: { AND: [{ id: { in: ids } }, visible] } });
  return nodeFinder(type, isNothing(visible) ? null : findRows);
}

/**
 * Looks up each id once per request, and the ids that are requested together in one statement. Ids of other
 * types, and types of which the principal sees no row (`findRows` is null), need no statement.
 */
function nodeFinder<Row extends { readonly id: string }>(
  type: NodeType,
  findRows: ((ids: string[]) => Promise<Row[]>) | null,
): FindNode<Row> {
  if (findRows === null) return () => null;
  const loader = batchLoader<Row | null>(async (ids) => byId(await findRows([...ids])), null);
  return (id) => (findNodeType(id) === type ? loader.load(id) : null);
}

/** Rows that are known to exist, by their ids: foreign keys ensure it. */
function rowLoader<Row extends { readonly id: string }>(
  findRows: (query: { where: { id: { in: string[] } } }) => Promise<Row[]>,
): DataLoader<string, Row> {
  return new DataLoader(async (ids) => {
    const rows = byId(await findRows({ where: { id: { in: [...ids] } } }));
    return ids.map((id) => rows.get(id) ?? new Error(`There is no row ${id}.`));
  });
}

function byId<Row extends { readonly id: string }>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [row.id, row]));
}

/** Values by keys, with one value for all keys that have none. */
function batchLoader<Value>(
  read: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
  missing: Value,
  options: DataLoader.Options<string, Value> = {},
): DataLoader<string, Value> {
  return new DataLoader(async (keys) => {
    const values = await read(keys);
    return keys.map((key) => values.get(key) ?? missing);
  }, options);
}

/** A page under one parent. */
export interface NestedPage extends Keyset {
  readonly parentId: string;
}

export type PageLoader<Row> = DataLoader<NestedPage, Row[], string>;

/** Pages under many parents: one read for all parents whose pages have the same bounds. */
function pageLoader<Row>(
  list: (parentIds: readonly string[], page: Keyset) => Promise<ReadonlyMap<string, Row[]>>,
): PageLoader<Row> {
  return groupLoader(
    ({ parentId }) => parentId,
    ({ after, before, limit, inverted }) => JSON.stringify([after, before, limit, inverted]),
    async (pages, parentIds) => {
      const rowsOf = await list(parentIds, pages);
      return (parentId) => rowsOf.get(parentId) ?? [];
    },
  );
}

/** Pages of one list under different filters: one loader per filter. */
function loaderPerFilter<Filter, Row>(make: (filter: Filter) => PageLoader<Row>): (filter: Filter) => PageLoader<Row> {
  const loaders = new Map<Filter, PageLoader<Row>>();
  return (filter) => {
    const loader = loaders.get(filter) ?? make(filter);
    loaders.set(filter, loader);
    return loader;
  };
}

interface UsageRequest {
  /** The id of a key, or of a workspace. */
  readonly ownerId: string;
  readonly buckets: UsageBuckets;
}

/** The usage of many owners: one statement for all owners that are requested for the same time. */
function usageLoader(db: Db, owner: UsageOwner): DataLoader<UsageRequest, UsageBucket[], string> {
  return groupLoader(
    ({ ownerId }) => ownerId,
    ({ buckets: { size, starts, end } }) => `${size} ${starts[0]?.getTime()} ${end.getTime()}`,
    ({ buckets }, ownerIds) => readUsage(db, owner, ownerIds, buckets),
  );
}

/** Answers requests that differ only in their owner with one read. */
function groupLoader<Request, Result>(
  ownerOf: (request: Request) => string,
  groupOf: (request: Request) => string,
  read: (first: Request, ownerIds: readonly string[]) => Promise<(ownerId: string) => Result>,
): DataLoader<Request, Result, string> {
  return new DataLoader<Request, Result, string>(
    async (requests) => {
      const groups = new Map<string, { first: Request; ownerIds: string[] }>();
      for (const request of requests) {
        const group = groups.get(groupOf(request));
        if (group === undefined) groups.set(groupOf(request), { first: request, ownerIds: [ownerOf(request)] });
        else group.ownerIds.push(ownerOf(request));
      }
      const reads = new Map<string, Promise<(ownerId: string) => Result>>();
      for (const [name, { first, ownerIds }] of groups) reads.set(name, read(first, ownerIds));
      return Promise.all(
        requests.map(async (request) => {
          const resultOf = await reads.get(groupOf(request));
          if (resultOf === undefined) throw new Error('A request belongs to a group.');
          return resultOf(ownerOf(request));
        }),
      );
    },
    { cacheKeyFn: (request) => `${ownerOf(request)} ${groupOf(request)}` },
  );
}

type Made<Makers> = { readonly [Name in keyof Makers]: Makers[Name] extends () => infer Part ? Part : never };

/** An object whose parts are made when they are first used: most requests use few loaders. */
function lazily<Makers extends Record<string, () => unknown>>(makers: Makers): Made<Makers> {
  const made = {};
  for (const [name, make] of Object.entries(makers)) {
    Object.defineProperty(made, name, {
      configurable: true,
      get() {
        const value = make();
        Object.defineProperty(made, name, { value });
        return value;
      },
    });
  }
  return made as Made<Makers>;
}
