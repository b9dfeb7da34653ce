import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import type { OwnEventType, testEventType } from './event-types.js';

/** An event to publish. */
export interface EventDraft {
  readonly workspaceId: string;
  /** The key whose endpoints receive the event; null: the endpoints of all keys of the workspace. */
  readonly apiKeyId: string | null;
  readonly type: OwnEventType;
  readonly at: Date;
  /** Payload as JSON: times are ISO 8601 strings. Never contains a secret. */
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Writes an event to the outbox in the transaction of the change, so that both are committed or neither. One
 * statement writes the event and a delivery for each subscribed endpoint; without subscribed endpoints it
 * writes nothing.
 */
export async function publishEvent(tx: Tx, { workspaceId, apiKeyId, type, at, data }: EventDraft): Promise<void> {
  const payload = writePayload(type, at, data);
  await tx.$queryRaw`
    SELECT tollkeeper.publish_event(
      ${newId('webhookEvent')}, ${workspaceId}, ${apiKeyId}, ${type}, ${payload}, NULL, ${at}::timestamptz, false
    )::text`;
}

/**
 * The body of a webhook, as Standard Webhooks recommends it. The signed text is stored, so that every
 * delivery sends the same bytes.
 */
export function writePayload(
  type: OwnEventType | typeof testEventType | (string & {}),
  at: Date,
  data: unknown,
): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data });
}
