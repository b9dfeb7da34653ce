import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import { ConflictError, LimitReachedError, ValidationError } from '../../errors.js';
import type { WebhookEndpoint } from '../../generated/prisma/client.js';
import { type CommandContext, defineCommand } from '../commands/define-command.js';
import { parseEventTypes } from '../events/event-types.js';
import { decideStatus } from '../keys/status.js';
import type { AddressPolicy } from './address.js';
import { cancelPending } from './disable.js';
import { parseEndpointUrl } from './endpoint-url.js';
import { endpointOwnerScope, endpointScope } from './scopes.js';

/** The most endpoints of one key. */
export const endpointsPerKeyMax = 10;
/** The most endpoints of one workspace. Events of the workspace go to each of them. */
export const endpointsPerWorkspaceMax = 100;
const descriptionLengthMax = 500;

export interface CreateWebhookEndpointInput {
  readonly apiKeyId: string;
  readonly url: string;
  /** Omitted or empty: all types. */
  readonly eventTypes?: readonly string[] | null | undefined;
  readonly description?: string | null | undefined;
}

interface EndpointServices {
  readonly webhookAddresses: AddressPolicy;
}

/**
 * Creates an endpoint for a key. It receives events from now on.
 * @throws ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError for a revoked key
 *   or a product without signing secrets
 */
export const createWebhookEndpoint = defineCommand({
  name: 'createWebhookEndpoint',
  permission: 'webhook:manage',
  scope: endpointOwnerScope,
  audit: { done: 'webhookEndpoint.created', refused: 'webhookEndpoint.create.refused' },
  shownOnce: null,
  throttled: true,
  async run(
    { tx, clock, audit, webhookAddresses }: CommandContext & EndpointServices,
    input: CreateWebhookEndpointInput,
    { key, product },
  ) {
    const url = parseEndpointUrl('url', input.url, webhookAddresses);
    const eventTypes = parseEventTypes('eventTypes', input.eventTypes);
    const description = parseDescription('description', input.description);
    const { workspaceId, id: apiKeyId } = key;
    const now = clock();
    if (!product.signingSecrets) throw new ConflictError(`Keys of ${product.slug} have no signing secret.`);
    if (decideStatus(key, now) === 'REVOKED') throw new ConflictError('The key is revoked.');
    await requireRoomForEndpoint(tx, workspaceId, apiKeyId);
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
    audit({ subjectId: id, after: { apiKeyId, ...describeEndpoint(endpoint) } });
    return { endpoint };
  },
});

export interface UpdateWebhookEndpointInput {
  readonly endpointId: string;
  readonly url?: string | null | undefined;
  readonly eventTypes?: readonly string[] | null | undefined;
  /** undefined: unchanged; null: none. */
  readonly description?: string | null | undefined;
  readonly enabled?: boolean | null | undefined;
}

/**
 * Changes an endpoint. Omitted fields stay unchanged. Disabling it cancels its pending deliveries; enabling
 * it resets its failures.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export const updateWebhookEndpoint = defineCommand({
  name: 'updateWebhookEndpoint',
  permission: 'webhook:manage',
  scope: endpointScope,
  audit: { done: 'webhookEndpoint.updated', refused: 'webhookEndpoint.update.refused' },
  shownOnce: null,
  throttled: true,
  async run(
    { tx, clock, audit, webhookAddresses }: CommandContext & EndpointServices,
    input: UpdateWebhookEndpointInput,
    { endpoint: before },
  ) {
    const now = clock();
    const endpoint = await tx.webhookEndpoint.update({
      where: { id: before.id },
      data: {
        ...(input.url != null && { url: parseEndpointUrl('url', input.url, webhookAddresses) }),
        ...(input.eventTypes != null && { eventTypes: parseEventTypes('eventTypes', input.eventTypes) }),
        ...(input.description !== undefined && { description: parseDescription('description', input.description) }),
        ...decideSwitch(before, input.enabled, now),
      },
    });
    if (endpoint.disabledAt !== null) await cancelPending(tx, endpoint.id, now);
    audit({ subjectId: endpoint.id, before: describeEndpoint(before), after: describeEndpoint(endpoint) });
    return { endpoint };
  },
});

/**
 * Removes an endpoint from every list and cancels its pending deliveries.
 * @throws NotFoundError, ForbiddenError
 */
export const deleteWebhookEndpoint = defineCommand({
  name: 'deleteWebhookEndpoint',
  permission: 'webhook:manage',
  scope: endpointScope,
  audit: { done: 'webhookEndpoint.deleted', refused: 'webhookEndpoint.delete.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, _input: { readonly endpointId: string }, { endpoint }) {
    const now = clock();
    await tx.webhookEndpoint.update({ where: { id: endpoint.id }, data: { deletedAt: now } });
    await cancelPending(tx, endpoint.id, now);
    audit({ subjectId: endpoint.id, before: describeEndpoint(endpoint) });
    return { deletedEndpointId: endpoint.id };
  },
});

/** Call it under the workspace's lock. @throws LimitReachedError */
async function requireRoomForEndpoint(tx: Tx, workspaceId: string, apiKeyId: string): Promise<void> {
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

/** A description: trimmed, at most 500 characters; empty: none. @throws ValidationError */
function parseDescription(field: string, value: string | null | undefined): string | null {
  const description = value?.trim() ?? '';
  if (description.length > descriptionLengthMax) {
    throw new ValidationError(field, `A description must have at most ${descriptionLengthMax} characters.`);
  }
  return description === '' ? null : description;
}

function describeEndpoint({ url, eventTypes, description, disabledAt, disabledReason }: WebhookEndpoint) {
  return { url, eventTypes, description, disabledAt: disabledAt?.toISOString() ?? null, disabledReason };
}
