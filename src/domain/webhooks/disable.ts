import type { Clock } from '../../clock.js';
import { type Db, type Tx, transaction } from '../../db/transaction.js';
import type { WebhookDisabledReason } from '../../generated/prisma/enums.js';
import { recordAudit, systemActor } from '../audit/record.js';
import { publishEvent } from '../events/publish.js';
import { failingMsMax } from './health.js';

/**
 * Disables an endpoint that answered 410, or that had no success for five days. The other endpoints of the
 * workspace receive an event, and the endpoint shows the reason. Calling it twice is not an error.
 */
export async function disableFailedEndpoint(
  services: { readonly db: Db; readonly clock: Clock },
  endpointId: string,
  reason: WebhookDisabledReason,
): Promise<void> {
  const at = services.clock();
  await transaction(services.db, async (tx) => {
    const stillFailing = reason === 'FAILING' ? { failingSince: { lte: new Date(at.getTime() - failingMsMax) } } : {};
    const { count } = await tx.webhookEndpoint.updateMany({
      where: { id: endpointId, disabledAt: null, deletedAt: null, ...stillFailing },
      data: { disabledAt: at, disabledReason: reason },
    });
    if (count === 0) return;
    await cancelPending(tx, endpointId, at);
    const { workspaceId, apiKeyId, url, failingSince } = await tx.webhookEndpoint.findUniqueOrThrow({
      where: { id: endpointId },
    });
    await publishEvent(tx, {
      workspaceId,
      apiKeyId: null,
      type: 'webhook_endpoint.disabled',
      at,
      // Only the host: a path may contain a secret of the endpoint's owner, and this event goes to other
      // endpoints.
      data: {
        workspaceId,
        apiKeyId,
        endpointId,
        host: new URL(url).host,
        reason,
        failingSince: failingSince?.toISOString() ?? null,
      },
    });
    await recordAudit(tx, systemActor, {
      workspaceId,
      action: 'webhookEndpoint.disabled',
      subjectId: endpointId,
      before: { disabledAt: null },
      after: { disabledAt: at.toISOString(), disabledReason: reason },
    });
  });
}

/** Cancels the pending deliveries of an endpoint. Attempts in flight end normally. */
export async function cancelPending(tx: Tx, endpointId: string, at: Date): Promise<void> {
  await tx.webhookDelivery.updateMany({
    where: { endpointId, state: 'PENDING', leaseId: null },
    data: { state: 'CANCELLED', endedAt: at },
  });
}
