import type { Role } from '../../generated/prisma/enums.js';

/**
 * Every permission that this server checks, and what it allows. (A product file defines what its keys may do
 * at the product.)
 */
export const permissions = {
  'workspace:read': 'See a workspace.',
  'workspace:create': 'Create an organization.',
  'workspace:update': 'Rename a workspace.',
  'workspace:suspend': 'Suspend and resume a workspace.',
  'feature:update': 'Switch a feature of a product on or off for a workspace.',
  'member:read': 'See who belongs to a workspace.',
  'member:invite': 'Invite a person to a workspace.',
  'member:join': 'Accept an invitation.',
  'member:update': "Change a member's role and permissions.",
  'member:remove': 'Remove a member.',
  'apiKey:read': 'See API keys.',
  'apiKey:create': 'Create an API key, where the product lets one.',
  'apiKey:update': 'Rename, restrict, disable and enable an API key.',
  'apiKey:rotate': 'Give an API key a new secret, and end an old one.',
  'apiKey:revoke': 'Revoke an API key.',
  'apiKey:delete': 'Delete an API key.',
  'apiKey:verify': 'Verify a credential and charge for an action.',
  'apiKey:explain': 'Learn why a credential of the workspace is refused.',
  'signingSecret:rotate': 'Replace the signing secret of an API key.',
  'credits:read': 'See credits, prices and the ledger.',
  'credits:grant': 'Grant credits.',
  'charge:settle': 'Capture, release and refund charges.',
  'webhook:read': 'See webhook endpoints, and what was delivered to them.',
  'webhook:manage': 'Create, change, delete and test webhook endpoints, and deliver again.',
  'event:publish': "Tell a customer of an event of the product's own.",
  'audit:read': 'See who did what in a workspace, and what was refused.',
  'authentication:read': 'See how many credentials were refused.',
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
 * Permissions of a role in its workspace. OWNER and ADMIN differ in whom they may change: only an owner
 * appoints or removes owners.
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

/** Permissions that a member can get in addition to a role. */
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

/** Permissions of a service token, in every workspace. */
export const servicePermissions: ReadonlySet<Permission> = new Set(
  (Object.keys(permissions) as Permission[]).filter((p) => p !== 'workspace:create' && p !== 'member:join'),
);

/** Permissions of a signed-in person outside any workspace. */
export const userPermissions: ReadonlySet<Permission> = new Set<Permission>(['workspace:create', 'member:join']);
