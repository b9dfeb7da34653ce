import type { Prisma } from '../../generated/prisma/client.js';
import { type Permission, rolesWith } from './permissions.js';
import { mayHold, type Principal } from './principal.js';

/**
 * Who sees which rows: one filter for each type of row, used by lists, by look-ups by id and by the guards of
 * commands. A principal that sees no row of a type at all gets {@link nothing}; test with {@link isNothing}
 * to save the statement.
 */

/** Matches no row. */
export const nothing = { id: { in: [] as string[] } };

/** Whether a filter is {@link nothing}, so that no statement is needed. */
export function isNothing(filter: object): boolean {
  return filter === nothing;
}

/** The workspaces of a user or of an API key; all for a service. */
export function visibleWorkspaces(principal: Principal): Prisma.WorkspaceWhereInput {
  if (!mayHold(principal, 'workspace:read')) return nothing;
  switch (principal.kind) {
    case 'service':
      return {};
    case 'user':
      return { members: { some: { userId: principal.userId } } };
    case 'apiKey':
      return { id: principal.workspaceId };
    case 'anonymous':
      return nothing;
  }
}

/**
 * The keys in a user's workspaces; an API key sees only itself, a service all. Deleted keys are not visible.
 */
export function visibleApiKeys(principal: Principal): Prisma.ApiKeyWhereInput {
  if (!mayHold(principal, 'apiKey:read')) return nothing;
  switch (principal.kind) {
    case 'service':
      return { deletedAt: null };
    case 'user':
      return { deletedAt: null, workspace: visibleWorkspaces(principal) };
    case 'apiKey':
      return { deletedAt: null, id: principal.apiKeyId };
    case 'anonymous':
      return nothing;
  }
}

/** The secrets of the visible keys. */
export function visibleKeySecrets(principal: Principal): Prisma.KeySecretWhereInput {
  const apiKey = visibleApiKeys(principal);
  return isNothing(apiKey) ? nothing : { apiKey };
}

/** The members of the visible workspaces. API keys see no people. */
export function visibleMembers(principal: Principal): Prisma.MemberWhereInput {
  return inVisibleWorkspaces(principal, 'member:read');
}

/** The invitations to the visible workspaces. API keys see no people. */
export function visibleInvitations(principal: Principal): Prisma.InvitationWhereInput {
  return inVisibleWorkspaces(principal, 'member:read');
}

/** The charges of the visible workspaces. */
export function visibleCharges(principal: Principal): Prisma.ChargeWhereInput {
  return inVisibleWorkspaces(principal, 'credits:read');
}

/** The ledger entries of the visible workspaces. */
export function visibleLedgerEntries(principal: Principal): Prisma.LedgerEntryWhereInput {
  return inVisibleWorkspaces(principal, 'credits:read');
}

function inVisibleWorkspaces(principal: Principal, permission: Permission) {
  const workspace = visibleWorkspaces(principal);
  return isNothing(workspace) || !mayHold(principal, permission) ? nothing : { workspace };
}

/** A user sees themselves and everyone who shares a workspace with them; a service sees all users. */
export function visibleUsers(principal: Principal): Prisma.UserWhereInput {
  switch (principal.kind) {
    case 'service':
      return {};
    case 'user': {
      const shared = { memberships: { some: { workspace: visibleWorkspaces(principal) } } };
      return { OR: [{ id: principal.userId }, shared] };
    }
    case 'apiKey':
    case 'anonymous':
      return nothing;
  }
}

/**
 * The webhook endpoints of workspaces in which a user holds `webhook:read` or `webhook:manage`; all for a
 * service. Plain members see none: a URL may be a secret of the person who set it up, and a response may
 * contain anything. Endpoints of deleted keys are not visible.
 */
export function visibleWebhookEndpoints(principal: Principal): Prisma.WebhookEndpointWhereInput {
  const exists = { deletedAt: null, apiKey: { deletedAt: null } };
  switch (principal.kind) {
    case 'service':
      return exists;
    case 'user': {
      const permissions: Permission[] = ['webhook:read', 'webhook:manage'];
      const holds = { OR: [{ role: { in: rolesWith('webhook:read') } }, { permissions: { hasSome: permissions } }] };
      return { ...exists, workspace: { members: { some: { userId: principal.userId, ...holds } } } };
    }
    case 'apiKey':
    case 'anonymous':
      return nothing;
  }
}

/** The deliveries to the visible endpoints. */
export function visibleWebhookDeliveries(principal: Principal): Prisma.WebhookDeliveryWhereInput {
  const endpoint = visibleWebhookEndpoints(principal);
  return isNothing(endpoint) ? nothing : { endpoint };
}

/** The attempts of the visible deliveries. */
export function visibleWebhookAttempts(principal: Principal): Prisma.WebhookAttemptWhereInput {
  const delivery = visibleWebhookDeliveries(principal);
  return isNothing(delivery) ? nothing : { delivery };
}

/** The events that were delivered to a visible endpoint; all for a service. */
export function visibleWebhookEvents(principal: Principal): Prisma.WebhookEventWhereInput {
  if (principal.kind === 'service') return {};
  const delivery = visibleWebhookDeliveries(principal);
  return isNothing(delivery) ? nothing : { deliveries: { some: delivery } };
}
