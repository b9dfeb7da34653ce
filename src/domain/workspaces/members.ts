import type { Tx } from '../../db/transaction.js';
import { ConflictError, ForbiddenError, ValidationError } from '../../errors.js';
import type { Member } from '../../generated/prisma/client.js';
import type { Role } from '../../generated/prisma/enums.js';
import { requirePermissionCount } from '../access/input.js';
import { grantablePermissions, type Permission } from '../access/permissions.js';
import { defineCommand } from '../commands/define-command.js';
import { requireRank } from './rank.js';
import { revokeInvitationsBeyond, revokeInvitationsOfRemoved } from './revoke-invitations.js';
import { memberScope } from './scopes.js';

export interface UpdateMemberInput {
  readonly memberId: string;
  readonly role?: Role | null | undefined;
  /** All permissions of the member in addition to those of the role; null: unchanged. */
  readonly permissions?: readonly string[] | null | undefined;
}

/**
 * Changes the role of a member, the additional permissions, or both. Revokes the invitations that the member
 * sent and can no longer send.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for the last owner
 */
export const updateMember = defineCommand({
  name: 'updateMember',
  permission: 'member:update',
  scope: memberScope,
  audit: { done: 'member.updated', refused: 'member.update.refused' },
  shownOnce: null,
  throttled: true,
  async run(context, input: UpdateMemberInput, { member, access }) {
    const { tx, audit } = context;
    const permissions = parsePermissions(input.permissions ?? null);
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
    audit({ subjectId: member.id, before: describeMember(member), after: describeMember(updated) });
    await revokeInvitationsBeyond(context, updated);
    return { member: updated };
  },
});

/**
 * Removes a member from a workspace, and revokes the open invitations by and to the member. Members may
 * remove themselves.
 * @throws NotFoundError, ForbiddenError, ConflictError for the last owner
 */
export const removeMember = defineCommand({
  name: 'removeMember',
  permission: 'member:remove',
  permissionToCall: 'member:read',
  scope: memberScope,
  audit: { done: 'member.removed', refused: 'member.remove.refused' },
  shownOnce: null,
  throttled: true,
  async run(context, _input: { readonly memberId: string }, { member }) {
    const { tx, audit } = context;
    if (member.role === 'OWNER') await requireAnotherOwner(tx, member);
    await tx.member.delete({ where: { id: member.id } });
    audit({ subjectId: member.id, before: describeMember(member) });
    await revokeInvitationsOfRemoved(context, member);
    return { removedMemberId: member.id, workspaceId: member.workspaceId };
  },
});

function describeMember({ userId, role, permissions }: Member) {
  return { userId, role, permissions };
}

async function requireAnotherOwner(tx: Tx, { workspaceId }: Member): Promise<void> {
  const owners = await tx.member.count({ where: { workspaceId, role: 'OWNER' } });
  if (owners < 2) throw new ConflictError('A workspace needs at least one owner. Make another member an owner first.');
}

/** @throws ValidationError */
function parsePermissions(permissions: readonly string[] | null): Permission[] | null {
  if (permissions === null) return null;
  requirePermissionCount('permissions', permissions);
  return [...new Set(permissions.map(parseGrantable))];
}

function parseGrantable(permission: string, index: number): Permission {
  if (!grantablePermissions.has(permission as Permission)) {
    throw new ValidationError(
      `permissions.${index}`,
      `This permission cannot be granted to a member. Use one of: ${[...grantablePermissions].join(', ')}.`,
    );
  }
  return permission as Permission;
}
