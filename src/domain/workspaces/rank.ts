import { ForbiddenError } from '../../errors.js';
import type { Member } from '../../generated/prisma/client.js';
import type { Role } from '../../generated/prisma/enums.js';
import type { Access } from '../access/access.js';
import { type Permission, rolePermissions } from '../access/permissions.js';

const ranks: Readonly<Record<Role, number>> = { MEMBER: 0, ADMIN: 1, OWNER: 2 };

/**
 * Members can grant, change and remove roles up to their own. Services rank above all roles.
 * @throws ForbiddenError
 */
export function requireRank(access: Access, role: Role, permission: Permission): void {
  if (access.role !== null && ranks[role] > ranks[access.role]) {
    throw new ForbiddenError(
      permission,
      `Only a member with the role ${role} can grant, change or remove the role ${role}.`,
    );
  }
}

/** The roles for which a member can invite people: up to their own, with the permission `member:invite`. */
export function rolesToInvite({ role, permissions }: Pick<Member, 'role' | 'permissions'>): Role[] {
  const required: Permission = 'member:invite';
  const mayInvite = rolePermissions[role].has(required) || permissions.includes(required);
  return mayInvite ? (Object.keys(ranks) as Role[]).filter((each) => ranks[each] <= ranks[role]) : [];
}
