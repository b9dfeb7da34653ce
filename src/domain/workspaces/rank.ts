import { ForbiddenError } from '../../errors.js';
import type { Role } from '../../generated/prisma/enums.js';
import type { Access } from '../access/access.js';
import type { Permission } from '../access/permissions.js';

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
