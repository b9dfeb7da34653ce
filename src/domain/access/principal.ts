import type { PrincipalKind } from '../../generated/prisma/enums.js';
import { type Permission, rolePermissions, userPermissions } from './permissions.js';

/** A request without a credential. */
export interface AnonymousPrincipal {
  readonly kind: 'anonymous';
}

/** An API key that calls this server: it sees its own record and the credits of its workspace. */
export interface ApiKeyPrincipal {
  readonly kind: 'apiKey';
  readonly apiKeyId: string;
  readonly workspaceId: string;
  readonly product: string;
  readonly permissions: ReadonlySet<Permission>;
}

/** A signed-in user. The permissions depend on the role in each workspace. */
export interface UserPrincipal {
  readonly kind: 'user';
  readonly userId: string;
  /** The address for which the user can accept invitations. Null: the identity provider vouches for none. */
  readonly email: string | null;
}

/** A service token of the product's backend or of an operator. */
export interface ServicePrincipal {
  readonly kind: 'service';
  readonly serviceTokenId: string;
  readonly permissions: ReadonlySet<Permission>;
}

export type Principal = AnonymousPrincipal | ApiKeyPrincipal | UserPrincipal | ServicePrincipal;

/** The principal, the request and the address that the audit trail records. */
export interface Actor {
  readonly principal: Principal;
  readonly requestId: string;
  /** The caller's IP address; null: unknown. */
  readonly address: string | null;
}

const kinds = { apiKey: 'API_KEY', user: 'USER', service: 'SERVICE', anonymous: 'SYSTEM' } as const;

/** The kind and id of a principal, as the database stores them. */
export function principalRecord(principal: Principal): { kind: PrincipalKind; id: string | null } {
  switch (principal.kind) {
    case 'apiKey':
      return { kind: kinds.apiKey, id: principal.apiKeyId };
    case 'user':
      return { kind: kinds.user, id: principal.userId };
    case 'service':
      return { kind: kinds.service, id: principal.serviceTokenId };
    case 'anonymous':
      return { kind: kinds.anonymous, id: null };
  }
}

/** A string that identifies the principal in counters and logs. Contains no secret. */
export function principalKey(principal: Principal): string {
  const { kind, id } = principalRecord(principal);
  return `${kind}:${id ?? '-'}`;
}

/**
 * Whether this kind of principal can hold a permission in any workspace. `getAccess` decides for one
 * workspace.
 */
export function mayHold(principal: Principal, permission: Permission): boolean {
  switch (principal.kind) {
    case 'anonymous':
      return false;
    case 'service':
    case 'apiKey':
      return principal.permissions.has(permission);
    case 'user':
      return userPermissions.has(permission) || rolePermissions.OWNER.has(permission);
  }
}
