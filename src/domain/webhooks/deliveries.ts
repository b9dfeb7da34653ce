import { newId } from '../../db/ids.js';
import { transaction } from '../../db/transaction.js';
import { ConflictError, NotFoundError } from '../../errors.js';
import type { ApiKey, WebhookDelivery, WebhookEndpoint } from '../../generated/prisma/client.js';
import type { Actor } from '../access/principal.js';
import { visibleWebhookDeliveries } from '../access/visibility.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { testEventType } from '../events/event-types.js';
import { writePayload } from '../events/publish.js';
import { getManagedEndpoint } from './access.js';

/**
 * Sends an endpoint an event that says nothing but that it works, whatever the endpoint listens for. It is delivered like every other.
 * @throws NotFoundError, ForbiddenError, ConflictError for a disabled endpoint or a revoked key
 */
export async function sendTestWebhook(
  deps: Deps,
  actor: Actor,
  input: { readonly endpointId: string },
): Promise<{ delivery: WebhookDelivery }> {
  return transaction(deps.db, async (tx) => {
    const { endpoint, key } = await getManagedEndpoint(tx, actor, input.endpointId);
    requireOpen(endpoint);
    requireLiving(key);
    const { id: endpointId, workspaceId, apiKeyId } = endpoint;
    const createdAt = deps.clock();
    const eventId = newId('webhookEvent');
    const data = { workspaceId, apiKeyId, endpointId };
    const payload = writePayload(testEventType, createdAt, data);
    await tx.webhookEvent.create({
      data: { id: eventId, workspaceId, apiKeyId, type: testEventType, payload, createdAt },
    });
    const delivery = await tx.webhookDelivery.create({
      data: { id: newId('webhookDelivery'), workspaceId, eventId, endpointId, dueAt: createdAt, createdAt },
    });
    await recordAudit(tx, actor, { workspaceId, action: 'webhookEndpoint.tested', subjectId: endpointId });
    return { delivery };
  });
}

/**
 * Delivers an event once more to the same endpoint, under the same webhook-id, with all its attempts anew. What waits is tried at once;
 * what is being tried at this moment stays as it is.
 * @throws NotFoundError, ForbiddenError, ConflictError for a disabled endpoint
 */
export async function redeliverWebhook(
  deps: Deps,
  actor: Actor,
  input: { readonly deliveryId: string },
): Promise<{ delivery: WebhookDelivery }> {
  const notFound = new NotFoundError('input.deliveryId', 'Webhook delivery not found.');
  return transaction(deps.db, async (tx) => {
    const seen = await tx.webhookDelivery.findFirst({
      where: { AND: [{ id: input.deliveryId }, visibleWebhookDeliveries(actor.principal)] },
      select: { id: true, endpointId: true, workspaceId: true },
    });
    if (seen === null) throw notFound;
    const { endpoint } = await getManagedEndpoint(tx, actor, seen.endpointId);
    requireOpen(endpoint);
    const { id, workspaceId } = seen;
    const { count } = await tx.webhookDelivery.updateMany({
      where: { id, leaseId: null },
      data: { state: 'PENDING', endedAt: null, attemptCount: 0, dueAt: deps.clock() },
    });
    if (count > 0) await recordAudit(tx, actor, { workspaceId, action: 'webhookDelivery.repeated', subjectId: id });
    return { delivery: await tx.webhookDelivery.findUniqueOrThrow({ where: { id } }) };
  });
}

function requireOpen({ disabledAt }: WebhookEndpoint): void {
  if (disabledAt !== null) throw new ConflictError('The endpoint is disabled. Enable it first.');
}

function requireLiving({ revokedAt }: ApiKey): void {
  if (revokedAt !== null) throw new ConflictError('The key is revoked.');
}
