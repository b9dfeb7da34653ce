import type { Db, Tx } from '../../db/transaction.js';
import { ForbiddenError, NotFoundError } from '../../errors.js';
import type { Role, WorkspaceKind } from '../../generated/prisma/enums.js';
import { type Permission, rolePermissions } from './permissions.js';
import type { Principal } from './principal.js';

/** The permissions of a principal in a workspace that is visible to it. */
export interface Access {
  readonly workspaceId: string;
  readonly workspaceKind: WorkspaceKind;
  readonly suspendedAt: Date | null;
  /** Role of the member. Null for services and API keys. */
  readonly role: Role | null;
  /** Permissions that were granted to the member in addition to the role. */
  readonly givenPermissions: ReadonlySet<Permission>;
  /** All permissions in this workspace. */
  readonly permissions: ReadonlySet<Permission>;
}

/**
 * The principal's access to a workspace. Null: the workspace does not exist or is not visible to the
 * principal.
 */
export async function findAccess(db: Db | Tx, principal: Principal, workspaceId: string): Promise<Access | null> {
  if (principal.kind === 'anonymous') return null;
  if (principal.kind === 'apiKey' && principal.workspaceId !== workspaceId) return null;
  const workspace = await db.workspace.findUnique({
    where: { id: workspaceId },
    select: {
      kind: true,
      suspendedAt: true,
      members: {
        where: { userId: principal.kind === 'user' ? principal.userId : '' },
        select: { role: true, permissions: true },
      },
    },
  });
  if (workspace === null) return null;
  const access = {
    workspaceId,
    workspaceKind: workspace.kind,
    suspendedAt: workspace.suspendedAt,
    role: null,
    givenPermissions: new Set<Permission>(),
  };
  if (principal.kind !== 'user') return { ...access, permissions: principal.permissions };
  const [member] = workspace.members;
  if (member === undefined) return null;
  const givenPermissions = new Set(member.permissions as Permission[]);
  return {
    ...access,
    role: member.role,
    givenPermissions,
    permissions: new Set([...rolePermissions[member.role], ...givenPermissions]),
  };
}

/**
 * The principal's access to a workspace, if it holds the permission.
 * @throws NotFoundError for a workspace that is not visible to it, ForbiddenError if the permission is
 * missing
 */
export async function getAccess(
  db: Db | Tx,
  principal: Principal,
  workspaceId: string,
  permission: Permission,
): Promise<Access> {
  const access = await findAccess(db, principal, workspaceId);
  if (access === null) throw new NotFoundError('workspaceId', 'Workspace not found.');
  if (!access.permissions.has(permission)) throw new ForbiddenError(permission);
  return access;
}

/**
 * Locks the workspace row: other changes of its members, keys and features wait until the transaction ends.
 */
export async function lockWorkspace(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT 1 FROM "Workspace" WHERE "id" = ${workspaceId} FOR UPDATE`;
}
