import type { Prisma } from '../../generated/prisma/client.js';
import { type Permission, rolesWith } from './permissions.js';
import { mayHold, type Principal } from './principal.js';

/**
 * Visibility of rows: one Prisma filter per type, used by lists, look-ups by id and commands. A principal
 * that can see no row of a type gets {@link nothing}; {@link isNothing} then saves the statement.
 */

/** Matches no row. */
export const nothing = { id: { in: [] as string[] } };

/** Whether a filter is {@link nothing}, so that the statement can be skipped. */
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
 * The keys in a user's workspaces; only itself for an API key; all for a service. Deleted keys are not
 * visible.
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

/** The members of the visible workspaces; none for an API key. */
export function visibleMembers(principal: Principal): Prisma.MemberWhereInput {
  return inVisibleWorkspaces(principal, 'member:read');
}

/** The invitations to the visible workspaces; none for an API key. */
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

/** The user itself and the members of the user's workspaces; all users for a service. */
export function visibleUsers(principal: Principal): Prisma.UserWhereInput {
  switch (principal.kind) {
    case 'service':
      return mayHold(principal, 'member:read') ? {} : nothing;
    case 'user': {
      const shared = { memberships: { some: { workspace: visibleWorkspaces(principal) } } };
      return { OR: [{ id: principal.userId }, shared] };
    }
    case 'apiKey':
    case 'anonymous':
      return nothing;
  }
}

const webhookPermissions: Permission[] = ['webhook:read', 'webhook:manage'];

/**
 * The webhook endpoints of workspaces in which a user holds `webhook:read` or `webhook:manage`; all for a
 * service. The role MEMBER alone is not enough: a URL may contain a secret, and a response may contain any
 * data. Endpoints of deleted keys are not visible.
 */
export function visibleWebhookEndpoints(principal: Principal): Prisma.WebhookEndpointWhereInput {
  const exists = { deletedAt: null, apiKey: { deletedAt: null } };
  switch (principal.kind) {
    case 'service':
      return readsWebhooks(principal) ? exists : nothing;
    case 'user': {
      const given = { permissions: { hasSome: webhookPermissions } };
      const holds = { OR: [{ role: { in: rolesWith('webhook:read') } }, given] };
      return { ...exists, workspace: { members: { some: { userId: principal.userId, ...holds } } } };
    }
    case 'apiKey':
    case 'anonymous':
      return nothing;
  }
}

function readsWebhooks(principal: Principal): boolean {
  return webhookPermissions.some((permission) => mayHold(principal, permission));
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
  if (principal.kind === 'service') return readsWebhooks(principal) ? {} : nothing;
  const delivery = visibleWebhookDeliveries(principal);
  return isNothing(delivery) ? nothing : { deliveries: { some: delivery } };
}
