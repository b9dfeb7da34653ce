import type { PrincipalKind } from '../../generated/prisma/enums.js';
import type { KeyedCall } from '../commands/keyed-call.js';
import type { Permission } from './permissions.js';

/** Nobody in particular: no credential was given. */
export interface AnonymousPrincipal {
  readonly kind: 'anonymous';
}

/** An API key that calls this server itself, scoped to its own record and its workspace's credits. */
export interface ApiKeyPrincipal {
  readonly kind: 'apiKey';
  readonly apiKeyId: string;
  readonly workspaceId: string;
  readonly product: string;
  readonly permissions: ReadonlySet<Permission>;
}

/** A person who signed in. What they may do depends on their role in each workspace. */
export interface UserPrincipal {
  readonly kind: 'user';
  readonly userId: string;
  readonly email: string;
}

/** The product's own servers and operators. */
export interface ServicePrincipal {
  readonly kind: 'service';
  readonly serviceTokenId: string;
}

export type Principal = AnonymousPrincipal | ApiKeyPrincipal | UserPrincipal | ServicePrincipal;

/** Who acts, in which request and from where: what the audit records. */
export interface Actor {
  readonly principal: Principal;
  readonly requestId: string;
  /** The caller's network address, where known. */
  readonly address: string | null;
  /** Where the request is one that its client can repeat. */
  readonly idempotency?: KeyedCall | null;
}

const kinds = { apiKey: 'API_KEY', user: 'USER', service: 'SERVICE', anonymous: 'SYSTEM' } as const;

/** The principal as the database records it. */
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

/** A key that names the principal in counters and logs; never a secret. */
export function principalKey(principal: Principal): string {
  const { kind, id } = principalRecord(principal);
  return `${kind}:${id ?? '-'}`;
}
