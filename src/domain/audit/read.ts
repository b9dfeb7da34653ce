import type { Keyset } from '../../db/keyset.js';
import type { Db } from '../../db/transaction.js';
import type { AuditEvent, Prisma, User } from '../../generated/prisma/client.js';
import type { PrincipalKind } from '../../generated/prisma/enums.js';
import { findAccess } from '../access/access.js';
import { type Permission, rolesWith } from '../access/permissions.js';
import { mayHold, type Principal } from '../access/principal.js';

const read: Permission = 'audit:read';

/** Conditions that listed events meet. Omitted ones are ignored. */
export interface AuditFilter {
  readonly action?: string | null | undefined;
  readonly subjectId?: string | null | undefined;
  readonly actorKind?: PrincipalKind | null | undefined;
  readonly actorId?: string | null | undefined;
  readonly refused?: boolean | null | undefined;
  /** At or after this time. */
  readonly from?: Date | null | undefined;
  /** Before this time. */
  readonly to?: Date | null | undefined;
}

/** Whether the principal may read the audit trail of a workspace: owners, admins and services. */
export async function mayReadAudit(db: Db, principal: Principal, workspaceId: string): Promise<boolean> {
  return (await findAccess(db, principal, workspaceId))?.permissions.has(read) ?? false;
}

/**
 * The events with these ids that the principal may read. Only services may read events without a workspace.
 */
export async function findReadableEvents(db: Db, principal: Principal, ids: readonly string[]): Promise<AuditEvent[]> {
  if ((principal.kind !== 'service' && principal.kind !== 'user') || !mayHold(principal, read)) return [];
  const events = await db.auditEvent.findMany({ where: { id: { in: [...ids] } } });
  if (principal.kind === 'service') return events;
  const memberships = await db.member.findMany({
    where: {
      userId: principal.userId,
      workspaceId: { in: events.flatMap(({ workspaceId }) => workspaceId ?? []) },
      role: { in: rolesWith(read) },
    },
    select: { workspaceId: true },
  });
  const readable = new Set<string | null>(memberships.map(({ workspaceId }) => workspaceId));
  return events.filter(({ workspaceId }) => readable.has(workspaceId));
}

/** A page of the events of a workspace, highest sequence number first. Check {@link mayReadAudit} first. */
export async function listEvents(
  db: Db,
  workspaceId: string,
  filter: AuditFilter,
  { after, before, limit, inverted }: Keyset,
): Promise<AuditEvent[]> {
  const sequence: Prisma.IntFilter = {};
  for (const [bound, id] of [['lt', after] as const, ['gt', before] as const]) {
    if (id === undefined) continue;
    const event = await db.auditEvent.findFirst({ where: { id, workspaceId }, select: { sequence: true } });
    if (event === null) return [];
    sequence[bound] = event.sequence;
  }
  return db.auditEvent.findMany({
    where: { workspaceId, sequence, ...conditionsOf(filter) },
    orderBy: { sequence: inverted ? 'asc' : 'desc' },
    take: limit,
  });
}

function conditionsOf({ action, subjectId, actorKind, actorId, refused, from, to }: AuditFilter) {
  return {
    ...(action != null && { action }),
    ...(subjectId != null && { subjectId }),
    ...(actorKind != null && { actorKind }),
    ...(actorId != null && { actorId }),
    ...(refused != null && { refused }),
    ...((from != null || to != null) && {
      createdAt: { ...(from != null && { gte: from }), ...(to != null && { lt: to }) },
    }),
  };
}

/**
 * The users who acted, by `workspaceId userId`: all for a service, else members of the workspace. Users that
 * are not visible are left out.
 */
export async function findActors(db: Db, principal: Principal, keys: readonly string[]): Promise<Map<string, User>> {
  const pairs = keys.map((key) => key.split(' '));
  const userIds = pairs.map(([, userId = '']) => userId);
  if (principal.kind === 'service') {
    if (!mayHold(principal, 'member:read')) return new Map();
    const users = await db.user.findMany({ where: { id: { in: userIds } } });
    return new Map(keys.flatMap((key) => users.filter(({ id }) => key.endsWith(` ${id}`)).map((user) => [key, user])));
  }
  const members = await db.member.findMany({
    where: { workspaceId: { in: pairs.map(([workspaceId = '']) => workspaceId) }, userId: { in: userIds } },
    include: { user: true },
  });
  return new Map(members.map(({ workspaceId, userId, user }) => [`${workspaceId} ${userId}`, user]));
}
