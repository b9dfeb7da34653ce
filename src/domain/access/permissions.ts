import type { Role } from '../../generated/prisma/enums.js';

/**
 * Every permission that this server checks, and what it allows. Permissions of keys at a product are defined
 * in the product file.
 */
export const permissions = {
  'workspace:read': 'Read a workspace.',
  'workspace:create': 'Create an organization.',
  'workspace:update': 'Rename a workspace.',
  'workspace:suspend': 'Suspend and resume a workspace.',
  'feature:update': 'Enable and disable a feature of a product for a workspace.',
  'member:read': 'List the members and invitations of a workspace.',
  'member:invite': 'Invite a person to a workspace, and revoke invitations.',
  'member:join': 'Accept an invitation.',
  'member:update': "Change a member's role and permissions.",
  'member:remove': 'Remove a member.',
  'apiKey:read': 'Read API keys.',
  'apiKey:create': 'Create an API key, if the product allows it.',
  'apiKey:update': 'Rename, restrict, disable and enable an API key.',
  'apiKey:rotate': 'Rotate the secret of an API key and retire an old secret.',
  'apiKey:revoke': 'Revoke an API key.',
  'apiKey:delete': 'Delete an API key.',
  'apiKey:verify': 'Verify a credential and charge for an action.',
  'apiKey:explain': 'Explain why a credential of the workspace is refused.',
  'signingSecret:rotate': 'Rotate the signing secret of an API key.',
  'credits:read': 'Read credits, prices and the ledger.',
  'credits:grant': 'Grant credits.',
  'charge:settle': 'Capture, release and refund charges.',
  'webhook:read': 'Read webhook endpoints and their deliveries.',
  'webhook:manage': 'Create, update, delete and test webhook endpoints, and repeat deliveries.',
  'event:publish': 'Publish a custom event of a product.',
  'audit:read': 'Read the audit trail of a workspace.',
  'authentication:read': 'Read the number of failed authentications.',
  'settings:manage': 'Manage the settings of a workspace. Some products require it to create keys.',
} as const;

export type Permission = keyof typeof permissions;

const memberPermissions: readonly Permission[] = ['workspace:read', 'member:read', 'apiKey:read', 'credits:read'];

const adminPermissions: readonly Permission[] = [
  ...memberPermissions,
  'workspace:update',
  'feature:update',
  'member:invite',
  'member:update',
  'member:remove',
  'apiKey:create',
  'apiKey:update',
  'apiKey:rotate',
  'apiKey:revoke',
  'apiKey:delete',
  'apiKey:explain',
  'signingSecret:rotate',
  'webhook:read',
  'webhook:manage',
  'audit:read',
  'settings:manage',
];

/**
 * Permissions of a role in its workspace. OWNER and ADMIN have the same permissions, but only an OWNER can
 * grant, change or remove the role OWNER; see `workspaces/rank.ts`.
 */
export const rolePermissions: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  OWNER: new Set(adminPermissions),
  ADMIN: new Set(adminPermissions),
  MEMBER: new Set(memberPermissions),
};

/** The roles that include a permission. */
export function rolesWith(permission: Permission): Role[] {
  return (Object.keys(rolePermissions) as Role[]).filter((role) => rolePermissions[role].has(permission));
}

/** Permissions that can be granted to a member in addition to the role. */
export const grantablePermissions: ReadonlySet<Permission> = new Set<Permission>([
  'settings:manage',
  'apiKey:create',
  'apiKey:update',
  'apiKey:rotate',
  'apiKey:revoke',
  'apiKey:delete',
  'signingSecret:rotate',
  'webhook:read',
  'webhook:manage',
  'member:invite',
]);

/** Permissions of a service token in every workspace, unless it was created with fewer. */
export const servicePermissions: ReadonlySet<Permission> = new Set(
  (Object.keys(permissions) as Permission[]).filter((p) => p !== 'workspace:create' && p !== 'member:join'),
);

/** Permissions of a signed-in user outside of workspaces. */
export const userPermissions: ReadonlySet<Permission> = new Set<Permission>(['workspace:create', 'member:join']);
