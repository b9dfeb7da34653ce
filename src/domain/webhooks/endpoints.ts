import { newId } from '../../db/ids.js';
import { type Tx, transaction } from '../../db/transaction.js';
import { ConflictError, LimitReachedError, ValidationError } from '../../errors.js';
import type { WebhookEndpoint } from '../../generated/prisma/client.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { parseEventTypes } from '../events/event-types.js';
import { decideStatus } from '../keys/status.js';
import { getKeyForWebhooks, getManagedEndpoint } from './access.js';
import { cancelWaiting } from './disable.js';
import { parseEndpointUrl } from './endpoint-url.js';

/** The most endpoints of one key. */
export const endpointsPerKeyMax = 10;
/** The most endpoints of one workspace: what concerns all of it goes to each of them. */
export const endpointsPerWorkspaceMax = 100;
const descriptionLengthMax = 500;

export interface CreateWebhookEndpoint {
  readonly apiKeyId: string;
  readonly url: string;
  /** Without them, or empty: all. */
  readonly eventTypes?: readonly string[] | null | undefined;
  readonly description?: string | null | undefined;
}

/**
 * Gives a key an endpoint. From now on it hears of what happens, and of nothing that happened before.
 * @throws ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError for a revoked key or a product without signing secrets
 */
export async function createWebhookEndpoint(
  deps: Deps,
  actor: Actor,
  input: CreateWebhookEndpoint,
): Promise<{ endpoint: WebhookEndpoint }> {
  const url = parseEndpointUrl('input.url', input.url, deps.webhooksAllowPrivate);
  const eventTypes = parseEventTypes('input.eventTypes', input.eventTypes);
  const description = parseDescription('input.description', input.description);
  return transaction(deps.db, async (tx) => {
    const { key, product } = await getKeyForWebhooks(tx, deps, actor, input.apiKeyId);
    const { workspaceId, id: apiKeyId } = key;
    const now = deps.clock();
    if (!product.signingSecrets) throw new ConflictError(`Keys of ${product.slug} have no signing secret.`);
    if (decideStatus(key, now) === 'REVOKED') throw new ConflictError('The key is revoked.');
    await requireRoom(tx, workspaceId, apiKeyId);
    const isFirst = (await tx.webhookEndpoint.count({ where: { workspaceId } })) === 0;
    if (isFirst && product.webhooks.creditsLowAt !== null) {
      await tx.creditAccount.updateMany({
        where: { workspaceId, lowAt: null },
        data: { lowAt: product.webhooks.creditsLowAt },
      });
    }
    const id = newId('webhookEndpoint');
    const endpoint = await tx.webhookEndpoint.create({
      data: { id, workspaceId, apiKeyId, url, eventTypes, description, createdAt: now },
    });
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'webhookEndpoint.created',
      subjectId: id,
      after: { apiKeyId, ...changeable(endpoint) },
    });
    return { endpoint };
  });
}

export interface UpdateWebhookEndpoint {
  readonly endpointId: string;
  readonly url?: string | null | undefined;
  readonly eventTypes?: readonly string[] | null | undefined;
  /** undefined: as it is; null: none. */
  readonly description?: string | null | undefined;
  readonly enabled?: boolean | null | undefined;
}

/**
 * Changes an endpoint. What is not named stays. Switching it off cancels what waits for it; switching it on forgets its failures.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export async function updateWebhookEndpoint(
  deps: Deps,
  actor: Actor,
  input: UpdateWebhookEndpoint,
): Promise<{ endpoint: WebhookEndpoint }> {
  const given = {
    ...(input.url != null && { url: parseEndpointUrl('input.url', input.url, deps.webhooksAllowPrivate) }),
    ...(input.eventTypes != null && { eventTypes: parseEventTypes('input.eventTypes', input.eventTypes) }),
    ...(input.description !== undefined && { description: parseDescription('input.description', input.description) }),
  };
  return transaction(deps.db, async (tx) => {
    const { endpoint: before } = await getManagedEndpoint(tx, actor, input.endpointId);
    const now = deps.clock();
    const endpoint = await tx.webhookEndpoint.update({
      where: { id: before.id },
      data: { ...given, ...decideSwitch(before, input.enabled, now) },
    });
    if (endpoint.disabledAt !== null) await cancelWaiting(tx, endpoint.id, now);
    await recordAudit(tx, actor, {
      workspaceId: endpoint.workspaceId,
      action: 'webhookEndpoint.updated',
      subjectId: endpoint.id,
      before: changeable(before),
      after: changeable(endpoint),
    });
    return { endpoint };
  });
}

/** Takes an endpoint out of every list, and cancels what waits for it. @throws NotFoundError, ForbiddenError */
export async function deleteWebhookEndpoint(
  deps: Deps,
  actor: Actor,
  input: { readonly endpointId: string },
): Promise<{ deletedEndpointId: string }> {
  return transaction(deps.db, async (tx) => {
    const { endpoint } = await getManagedEndpoint(tx, actor, input.endpointId);
    const now = deps.clock();
    await tx.webhookEndpoint.update({ where: { id: endpoint.id }, data: { deletedAt: now } });
    await cancelWaiting(tx, endpoint.id, now);
    await recordAudit(tx, actor, {
      workspaceId: endpoint.workspaceId,
      action: 'webhookEndpoint.deleted',
      subjectId: endpoint.id,
      before: changeable(endpoint),
    });
    return { deletedEndpointId: endpoint.id };
  });
}

/** Counted under the workspace's lock, so that no two are the last. */
async function requireRoom(tx: Tx, workspaceId: string, apiKeyId: string): Promise<void> {
  const exists = { deletedAt: null, apiKey: { deletedAt: null } };
  if ((await tx.webhookEndpoint.count({ where: { apiKeyId, ...exists } })) >= endpointsPerKeyMax) {
    throw new LimitReachedError(endpointsPerKeyMax, `A key can have ${endpointsPerKeyMax} webhook endpoints.`);
  }
  if ((await tx.webhookEndpoint.count({ where: { workspaceId, ...exists } })) >= endpointsPerWorkspaceMax) {
    throw new LimitReachedError(
      endpointsPerWorkspaceMax,
      `A workspace can have ${endpointsPerWorkspaceMax} webhook endpoints.`,
    );
  }
}

function decideSwitch({ disabledAt }: WebhookEndpoint, enabled: boolean | null | undefined, now: Date) {
  if (enabled == null) return {};
  if (enabled) return { disabledAt: null, disabledReason: null, failingSince: null, lastFailedAt: null };
  return disabledAt === null ? { disabledAt: now, disabledReason: 'REQUESTED' as const } : {};
}

/** A note for people: trimmed, at most 500 characters; an empty one counts as none. @throws ValidationError */
function parseDescription(field: string, value: string | null | undefined): string | null {
  const description = value?.trim() ?? '';
  if (description.length > descriptionLengthMax) {
    throw new ValidationError(field, `A description must have at most ${descriptionLengthMax} characters.`);
  }
  return description === '' ? null : description;
}

function changeable({ url, eventTypes, description, disabledAt, disabledReason }: WebhookEndpoint) {
  return { url, eventTypes, description, disabledAt: disabledAt?.toISOString() ?? null, disabledReason };
}
