import type { Db, Tx } from '../../db/transaction.js';
import { ForbiddenError, NotFoundError } from '../../errors.js';
import type { Invitation, Member } from '../../generated/prisma/client.js';
import type { Role } from '../../generated/prisma/enums.js';
import { type Access, findAccess, getAccess, lockWorkspace } from '../access/access.js';
import type { Principal, UserPrincipal } from '../access/principal.js';
import type { Scope, ScopeContext, Target } from '../commands/define-command.js';
import { findPersonalWorkspaceId } from './personal.js';
import { requireRank } from './rank.js';
import { findRemovedMember } from './removed-members.js';

interface WorkspaceInput {
  readonly workspaceId: string;
}

/** Commands about a workspace. The lock serializes commands about its members, keys and features. */
export const workspaceScope: Scope<WorkspaceInput, Access> = {
  ids: ({ workspaceId }) => [workspaceId],
  locate: ({ db }, { workspaceId }) => locateWorkspace(db, workspaceId),
  notFound: () => workspaceNotFound(),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: ({ db, principal, permission }, { workspaceId }) => getAccess(db, principal, workspaceId, permission),
  load: async (_context, _target, access) => access,
};

export async function locateWorkspace(db: Db | Tx, workspaceId: string): Promise<Target | null> {
  const found = await db.workspace.findUnique({ where: { id: workspaceId }, select: { id: true } });
  return found && { workspaceId, product: null, recordId: workspaceId, subject: null };
}

export function workspaceNotFound(): NotFoundError {
  return new NotFoundError('workspaceId', 'Workspace not found.');
}

/**
 * New invitations. The inviter's role limits the role of the new member. It is read again under the lock: an
 * invitation by a member who is removed meanwhile would otherwise escape its revocation.
 */
export const inviterScope: Scope<WorkspaceInput & { readonly role: Role }, Access> = {
  ...workspaceScope,
  locate: async ({ db }, { workspaceId, role }) => {
    const target = await locateWorkspace(db, workspaceId);
    return target && { ...target, subject: role };
  },
  authorize: authorizeInviter,
  load: authorizeInviter,
};

async function authorizeInviter(
  { db, principal, permission }: ScopeContext,
  { workspaceId, subject }: Target,
): Promise<Access> {
  const access = await getAccess(db, principal, workspaceId, permission);
  requireRank(access, subject as Role, permission);
  return access;
}

/** Commands about an existing invitation. The caller's role must be at least the role of the invitation. */
export const invitationScope: Scope<{ readonly invitationId: string }, Invitation> = {
  ids: ({ invitationId }) => [invitationId],
  locate: async ({ db }, { invitationId }) => {
    const invitation = await db.invitation.findUnique({
      where: { id: invitationId },
      select: { workspaceId: true, role: true },
    });
    if (invitation === null) return null;
    const { workspaceId, role } = invitation;
    return { workspaceId, product: null, recordId: invitationId, subject: role };
  },
  notFound: () => invitationNotFound('invitationId'),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: async ({ db, principal, permission }, { workspaceId, subject }) => {
    const access = await findAccess(db, principal, workspaceId);
    if (!access?.permissions.has('member:read')) throw invitationNotFound('invitationId');
    if (!access.permissions.has(permission)) throw new ForbiddenError(permission);
    requireRank(access, subject as Role, permission);
    return access;
  },
  load: async ({ db }, _target, _access, { invitationId }) => {
    const invitation = await db.invitation.findUnique({ where: { id: invitationId } });
    if (invitation === null) throw invitationNotFound('invitationId');
    return invitation;
  },
};

/** The error for an invitation that does not exist, is not visible, or cannot be accepted. */
export function invitationNotFound(field: 'invitationId' | 'token'): NotFoundError {
  return new NotFoundError(field, 'Invitation not found.');
}

/**
 * Commands of a user that concern no existing workspace. Their idempotency keys belong to the user's
 * PERSONAL workspace.
 */
export const personScope: Scope<unknown, UserPrincipal> = {
  ids: () => [],
  locate: async ({ db, principal }) => {
    const workspaceId = principal.kind === 'user' ? await findPersonalWorkspaceId(db, principal.userId) : null;
    return workspaceId === null ? null : { workspaceId, product: null, recordId: null, subject: null };
  },
  notFound: ({ permission }) => new ForbiddenError(permission),
  lock: async () => undefined,
  authorize: async (context, { workspaceId }) => {
    getUser(context);
    return getOwnAccess(context, workspaceId);
  },
  load: async (context) => getUser(context),
};

function getUser({ principal, permission }: ScopeContext): UserPrincipal {
  if (principal.kind !== 'user') throw new ForbiddenError(permission);
  return principal;
}

async function getOwnAccess({ db, principal, permission }: ScopeContext, workspaceId: string): Promise<Access> {
  const access = await findAccess(db, principal, workspaceId);
  if (access === null) throw new ForbiddenError(permission);
  return access;
}

/** Commands about a member of a workspace. Members may remove themselves. */
export const memberScope: Scope<{ readonly memberId: string }, { readonly member: Member; readonly access: Access }> = {
  ids: ({ memberId }) => [memberId],
  locate: async ({ db, keyHash }, { memberId }) => {
    const member = await db.member.findUnique({
      where: { id: memberId },
      select: { workspaceId: true, userId: true },
    });
    if (member === null) return keyHash === null ? null : findRemovedMember(db, memberId, keyHash);
    return { workspaceId: member.workspaceId, product: null, recordId: memberId, subject: member.userId };
  },
  notFound: () => memberNotFound(),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: async ({ db, principal, permission }, target) => {
    const access = await findAccess(db, principal, target.workspaceId);
    if (!access?.permissions.has('member:read')) throw memberNotFound();
    const leaves = isSelf(principal, target) && permission === 'member:remove';
    if (!leaves && !access.permissions.has(permission)) throw new ForbiddenError(permission);
    return access;
  },
  // Members may replay a command about themselves, even after they lost the permission or the membership.
  mayReplay: async (context, target) => {
    if (isSelf(context.principal, target)) return true;
    const access = await findAccess(context.db, context.principal, target.workspaceId);
    return access?.permissions.has(context.permission) ?? false;
  },
  load: async ({ db, permission }, _target, access, { memberId }) => {
    const member = await db.member.findUnique({ where: { id: memberId } });
    if (member === null) throw memberNotFound();
    requireRank(access, member.role, permission);
    return { member, access };
  },
};

function memberNotFound(): NotFoundError {
  return new NotFoundError('memberId', 'Member not found.');
}

function isSelf(principal: Principal, { subject }: Target): boolean {
  return principal.kind === 'user' && principal.userId === subject;
}
