import { ForbiddenError } from '../../errors.js';
import type { Role } from '../../generated/prisma/enums.js';
import type { Access } from '../access/access.js';
import type { Permission } from '../access/permissions.js';

const ranks: Readonly<Record<Role, number>> = { MEMBER: 0, ADMIN: 1, OWNER: 2 };

/** Nobody gives, changes or takes away a role above their own. A service stands above all. */
export function mayActOnRole(access: Access, role: Role): boolean {
  return access.role === null || ranks[role] <= ranks[access.role];
}

/** @throws ForbiddenError where {@link mayActOnRole} says no */
export function requireRank(access: Access, role: Role, permission: Permission): void {
  if (!mayActOnRole(access, role)) {
    throw new ForbiddenError(permission, `Only a member of the role ${role} can do this to the role ${role}.`);
  }
}
