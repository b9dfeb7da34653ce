import { newId } from '../../db/ids.js';
import { ConflictError } from '../../errors.js';
import type { ApiKey, WebhookEndpoint } from '../../generated/prisma/client.js';
import { defineCommand } from '../commands/define-command.js';
import { testEventType } from '../events/event-types.js';
import { writePayload } from '../events/publish.js';
import { deliveryScope, endpointScope } from './scopes.js';

/**
 * Sends a test event to an endpoint, whatever types it subscribes to. It is delivered like every other event.
 * @throws NotFoundError, ForbiddenError, ConflictError for a disabled endpoint or a revoked key
 */
export const sendTestWebhook = defineCommand({
  name: 'sendTestWebhook',
  permission: 'webhook:manage',
  scope: endpointScope,
  audit: { done: 'webhookEndpoint.tested', refused: 'testWebhook.send.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, _input: { readonly endpointId: string }, { endpoint, key }) {
    requireEnabled(endpoint);
    requireNotRevoked(key);
    const { id: endpointId, workspaceId, apiKeyId } = endpoint;
    const createdAt = clock();
    const eventId = newId('webhookEvent');
    const payload = writePayload(testEventType, createdAt, { workspaceId, apiKeyId, endpointId });
    await tx.webhookEvent.create({
      data: { id: eventId, workspaceId, apiKeyId, type: testEventType, payload, createdAt },
    });
    const delivery = await tx.webhookDelivery.create({
      data: { id: newId('webhookDelivery'), workspaceId, eventId, endpointId, dueAt: createdAt, createdAt },
    });
    audit({ subjectId: endpointId });
    return { delivery };
  },
});

/**
 * Delivers an event to the same endpoint again, under the same webhook-id and with all attempts. A pending
 * delivery is attempted at once; a delivery whose attempt is running stays unchanged.
 * @throws NotFoundError, ForbiddenError, ConflictError for a disabled endpoint
 */
export const redeliverWebhook = defineCommand({
  name: 'redeliverWebhook',
  permission: 'webhook:manage',
  scope: deliveryScope,
  audit: { done: 'webhookDelivery.repeated', refused: 'webhook.redeliver.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, { deliveryId: id }: { readonly deliveryId: string }, { endpoint }) {
    requireEnabled(endpoint);
    const { count } = await tx.webhookDelivery.updateMany({
      where: { id, leaseId: null },
      data: { state: 'PENDING', endedAt: null, attemptCount: 0, dueAt: clock() },
    });
    if (count > 0) audit({ subjectId: id });
    return { delivery: await tx.webhookDelivery.findUniqueOrThrow({ where: { id } }) };
  },
});

function requireEnabled({ disabledAt }: WebhookEndpoint): void {
  if (disabledAt !== null) throw new ConflictError('The endpoint is disabled. Enable it first.');
}

function requireNotRevoked({ revokedAt }: ApiKey): void {
  if (revokedAt !== null) throw new ConflictError('The key is revoked.');
}
