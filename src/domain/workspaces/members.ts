import { type Tx, transaction } from '../../db/transaction.js';
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../errors.js';
import type { Member } from '../../generated/prisma/client.js';
import type { Role } from '../../generated/prisma/enums.js';
import { type Access, findAccess, lockWorkspace } from '../access/access.js';
import { requireFewPermissions } from '../access/input.js';
import { grantablePermissions, type Permission } from '../access/permissions.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { requireRank } from './rank.js';

export interface UpdateMember {
  readonly memberId: string;
  readonly role?: Role | null | undefined;
  /** All permissions that the member is to hold beside the role's. */
  readonly permissions?: readonly string[] | null | undefined;
}

/**
 * Changes a member's role, the permissions given beside it, or both.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for the last owner
 */
export async function updateMember(deps: Deps, actor: Actor, input: UpdateMember): Promise<{ member: Member }> {
  const given = input.permissions ?? null;
  if (given !== null) requireFewPermissions('input.permissions', given);
  const permissions = given && [...new Set(given.map(parseGrantable))];
  return transaction(deps.db, async (tx) => {
    const { member, access } = await getMemberInReach(tx, actor, input.memberId, 'member:update');
    const role = input.role ?? member.role;
    requireRank(access, role, 'member:update');
    for (const permission of permissions ?? []) {
      if (!access.permissions.has(permission)) throw new ForbiddenError(permission);
    }
    if (member.role === 'OWNER' && role !== 'OWNER') await requireAnotherOwner(tx, member);
    const updated = await tx.member.update({
      where: { id: member.id },
      data: { role, permissions: permissions ?? member.permissions },
    });
    await recordAudit(tx, actor, {
      workspaceId: member.workspaceId,
      action: 'member.updated',
      subjectId: member.id,
      before: { userId: member.userId, role: member.role, permissions: member.permissions },
      after: { userId: member.userId, role: updated.role, permissions: updated.permissions },
    });
    return { member: updated };
  });
}

/** Takes a member out of a workspace; everybody may take out themselves. @throws NotFoundError, ForbiddenError, ConflictError for the last owner */
export async function removeMember(
  deps: Deps,
  actor: Actor,
  input: { readonly memberId: string },
): Promise<{ removedMemberId: string; workspaceId: string }> {
  return transaction(deps.db, async (tx) => {
    const { member } = await getMemberInReach(tx, actor, input.memberId, 'member:remove');
    if (member.role === 'OWNER') await requireAnotherOwner(tx, member);
    await tx.member.delete({ where: { id: member.id } });
    await recordAudit(tx, actor, {
      workspaceId: member.workspaceId,
      action: 'member.removed',
      subjectId: member.id,
      before: { userId: member.userId, role: member.role, permissions: member.permissions },
    });
    return { removedMemberId: member.id, workspaceId: member.workspaceId };
  });
}

/** The member as it stands under the workspace's lock, where the principal may change it. */
async function getMemberInReach(
  tx: Tx,
  actor: Actor,
  memberId: string,
  permission: Permission,
): Promise<{ member: Member; access: Access }> {
  const notFound = new NotFoundError('input.memberId', 'Member not found.');
  const seen = await tx.member.findUnique({ where: { id: memberId }, select: { workspaceId: true } });
  if (seen === null) throw notFound;
  await lockWorkspace(tx, seen.workspaceId);
  const access = await findAccess(tx, actor.principal, seen.workspaceId);
  const member = await tx.member.findUnique({ where: { id: memberId } });
  if (access === null || member === null || !access.permissions.has('member:read')) throw notFound;
  const isSelf = actor.principal.kind === 'user' && actor.principal.userId === member.userId;
  const leaves = isSelf && permission === 'member:remove';
  if (!leaves && !access.permissions.has(permission)) throw new ForbiddenError(permission);
  requireRank(access, member.role, permission);
  return { member, access };
}

async function requireAnotherOwner(tx: Tx, member: Member): Promise<void> {
  const owners = await tx.member.count({ where: { workspaceId: member.workspaceId, role: 'OWNER' } });
  if (owners < 2) throw new ConflictError('A workspace keeps at least one owner. Make somebody else an owner first.');
}

function parseGrantable(permission: string, index: number): Permission {
  if (!grantablePermissions.has(permission as Permission)) {
    throw new ValidationError(
      `input.permissions.${index}`,
      `This permission cannot be given by itself. One of: ${[...grantablePermissions].join(', ')}.`,
    );
  }
  return permission as Permission;
}
