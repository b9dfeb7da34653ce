import { type Tx, transaction } from '../../db/transaction.js';
import type { WebhookDisabledReason } from '../../generated/prisma/enums.js';
import { recordAudit, systemActor } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { publishEvent } from '../events/publish.js';
import { failingMsMax } from './health.js';

/**
 * Stops an endpoint that said 410, or at which nothing succeeded for five days. Its owner hears of it through the other endpoints of the
 * workspace, and reads it from the endpoint itself. Doing it twice is not an error.
 */
export async function disableFailedEndpoint(
  deps: Pick<Deps, 'db' | 'clock'>,
  endpointId: string,
  reason: WebhookDisabledReason,
): Promise<void> {
  const at = deps.clock();
  await transaction(deps.db, async (tx) => {
    const stillSo = reason === 'FAILING' ? { failingSince: { lte: new Date(at.getTime() - failingMsMax) } } : {};
    const { count } = await tx.webhookEndpoint.updateMany({
      where: { id: endpointId, disabledAt: null, deletedAt: null, ...stillSo },
      data: { disabledAt: at, disabledReason: reason },
    });
    if (count === 0) return;
    await cancelWaiting(tx, endpointId, at);
    const { workspaceId, apiKeyId, url, failingSince } = await tx.webhookEndpoint.findUniqueOrThrow({
      where: { id: endpointId },
    });
    await publishEvent(tx, {
      workspaceId,
      apiKeyId: null,
      type: 'webhook_endpoint.disabled',
      at,
      // The host alone: a path may be a secret of whoever set the endpoint up, and this goes to others.
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

/** Ends the deliveries that wait for an endpoint. What is being tried at this moment ends by itself. */
export async function cancelWaiting(tx: Tx, endpointId: string, at: Date): Promise<void> {
  await tx.webhookDelivery.updateMany({
    where: { endpointId, state: 'PENDING', leaseId: null },
    data: { state: 'CANCELLED', endedAt: at },
  });
}
