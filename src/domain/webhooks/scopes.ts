import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../errors.js';
import type { ApiKey, WebhookDelivery, WebhookEndpoint } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import { type Access, findAccess, lockWorkspace } from '../access/access.js';
import type { Scope, ScopeContext, Target } from '../commands/define-command.js';
import { apiKeyScope, keyNotFound, seesKey } from '../keys/scopes.js';
import { locateWorkspace, workspaceNotFound } from '../workspaces/scopes.js';

/** An endpoint that a command changes, and the key that it belongs to. */
export interface ManagedEndpoint {
  readonly endpoint: WebhookEndpoint;
  readonly key: ApiKey;
}

/** The creation of an endpoint for a key. */
export const endpointOwnerScope: Scope<
  { readonly apiKeyId: string },
  { readonly key: ApiKey; readonly product: Product }
> = {
  ...apiKeyScope,
  authorize: async (context, target) => {
    const notFound = keyNotFound('apiKeyId', context.products);
    if (!seesKey(context.principal, target.subject ?? '')) throw notFound;
    return requirePermission(context, await getVisibleAccess(context, target, notFound));
  },
};

/** Commands about an endpoint. A deleted endpoint is still located, so that its deletion can be replayed. */
export const endpointScope: Scope<{ readonly endpointId: string }, ManagedEndpoint> = {
  ids: ({ endpointId }) => [endpointId],
  locate: async ({ db }, { endpointId }) => {
    const endpoint = await db.webhookEndpoint.findUnique({
      where: { id: endpointId },
      select: { workspaceId: true, apiKey: { select: { product: true } } },
    });
    if (endpoint === null) return null;
    const { workspaceId, apiKey } = endpoint;
    return { workspaceId, product: apiKey.product, recordId: endpointId, subject: null };
  },
  notFound: () => endpointNotFound(),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: (context, target) => authorizeToManage(context, target, endpointNotFound()),
  load: async ({ db }, _target, _access, { endpointId }) => {
    const found = await db.webhookEndpoint.findFirst({
      where: { id: endpointId, deletedAt: null, apiKey: { deletedAt: null } },
      include: { apiKey: true },
    });
    if (found === null) throw endpointNotFound();
    const { apiKey: key, ...endpoint } = found;
    return { endpoint, key };
  },
};

/** Commands about a delivery. */
export const deliveryScope: Scope<
  { readonly deliveryId: string },
  { readonly delivery: WebhookDelivery; readonly endpoint: WebhookEndpoint }
> = {
  ids: ({ deliveryId }) => [deliveryId],
  locate: async ({ db }, { deliveryId }) => {
    const delivery = await db.webhookDelivery.findUnique({ where: { id: deliveryId }, select: { workspaceId: true } });
    return delivery && { ...delivery, product: null, recordId: deliveryId, subject: null };
  },
  notFound: () => deliveryNotFound(),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: (context, target) => authorizeToManage(context, target, deliveryNotFound()),
  load: async ({ db }, _target, _access, { deliveryId }) => {
    const found = await db.webhookDelivery.findFirst({
      where: { id: deliveryId, endpoint: { deletedAt: null, apiKey: { deletedAt: null } } },
      include: { endpoint: true },
    });
    if (found === null) throw deliveryNotFound();
    const { endpoint, ...delivery } = found;
    return { delivery, endpoint };
  },
};

interface AudienceInput {
  readonly apiKeyId?: string | null | undefined;
  readonly workspaceId?: string | null | undefined;
}

/** Who receives an event: the endpoints of one key, or of all keys of a workspace. */
export const audienceScope: Scope<AudienceInput, { readonly workspaceId: string; readonly apiKeyId: string | null }> = {
  ids: ({ apiKeyId, workspaceId }) => [apiKeyId, workspaceId].filter((id) => id != null),
  locate: async (context, { apiKeyId, workspaceId }) => {
    if (apiKeyId != null && workspaceId != null) {
      throw new ValidationError('workspaceId', 'Name a key or a workspace, not both.');
    }
    if (apiKeyId != null) return apiKeyScope.locate(context, { apiKeyId });
    if (workspaceId == null)
      throw new ValidationError('apiKeyId', 'Name the key or the workspace that receives the event.');
    return (await locateWorkspace(context.db, workspaceId)) ?? missing(workspaceNotFound());
  },
  notFound: ({ products }) => keyNotFound('apiKeyId', products),
  // Events of one workspace are published concurrently.
  lock: async () => undefined,
  authorize: async (context, target) => {
    const notFound = target.subject === null ? workspaceNotFound() : keyNotFound('apiKeyId', context.products);
    return requirePermission(context, await getVisibleAccess(context, target, notFound));
  },
  load: async ({ db, products }, { workspaceId }, _access, { apiKeyId }) => {
    if (apiKeyId == null) return { workspaceId, apiKeyId: null };
    const key = await db.apiKey.findFirst({ where: { id: apiKeyId, deletedAt: null } });
    if (key === null) throw keyNotFound('apiKeyId', products);
    if (key.revokedAt !== null) throw new ConflictError('The key is revoked: its endpoints receive no events.');
    return { workspaceId, apiKeyId };
  },
};

function missing(error: Error): never {
  throw error;
}

async function getVisibleAccess(
  { db, principal }: ScopeContext,
  { workspaceId }: Target,
  notFound: Error,
): Promise<Access> {
  const access = await findAccess(db, principal, workspaceId);
  if (access === null) throw notFound;
  return access;
}

function requirePermission({ permission }: ScopeContext, access: Access): Access {
  if (!access.permissions.has(permission)) throw new ForbiddenError(permission);
  return access;
}

/**
 * For members who may not see webhooks, endpoints and deliveries look absent; see `visibleWebhookEndpoints`.
 */
async function authorizeToManage(context: ScopeContext, target: Target, notFound: Error): Promise<Access> {
  const access = await getVisibleAccess(context, target, notFound);
  const { permissions } = access;
  if (!permissions.has('webhook:read') && !permissions.has('webhook:manage')) throw notFound;
  return requirePermission(context, access);
}

function endpointNotFound(): NotFoundError {
  return new NotFoundError('endpointId', 'Webhook endpoint not found.');
}

function deliveryNotFound(): NotFoundError {
  return new NotFoundError('deliveryId', 'Webhook delivery not found.');
}
