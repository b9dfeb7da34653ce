import type { Tx } from '../../db/transaction.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import type { OwnEventType } from '../events/event-types.js';
import { publishEvent } from '../events/publish.js';
import { decideStatus } from './status.js';

type KeyEventType = Extract<OwnEventType, `api_key.${string}` | `signing_secret.${string}`>;

/**
 * Publishes an event about a key, to the endpoints of the key. The creation of a key goes to all endpoints
 * of the workspace, because the new key has none.
 * @param more facts that only this type has
 */
export async function publishKeyEvent(
  tx: Tx,
  type: KeyEventType,
  key: ApiKey,
  at: Date,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { workspaceId, id } = key;
  const apiKeyId = type === 'api_key.created' ? null : id;
  await publishEvent(tx, { workspaceId, apiKeyId, type, at, data: { ...describeKey(key, at), ...more } });
}

/** The facts in every event about a key. */
function describeKey(key: ApiKey, at: Date) {
  return {
    workspaceId: key.workspaceId,
    apiKeyId: key.id,
    name: key.name,
    product: key.product,
    environment: key.environment,
    status: decideStatus(key, at),
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
  };
}
