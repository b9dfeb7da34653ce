import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import type { OwnEventType, testEventType } from './event-types.js';

/** What happened, before it is told. */
export interface EventDraft {
  readonly workspaceId: string;
  /** Whose endpoints hear of it; null: those of all keys of the workspace. */
  readonly apiKeyId: string | null;
  readonly type: OwnEventType;
  readonly at: Date;
  /** Facts, never a secret. Times are texts. */
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Tells of what happened, in the transaction that made it happen: both commit, or neither. One statement writes the event and a
 * delivery to each endpoint that listens; where nobody does, nothing is written.
 */
export async function publishEvent(tx: Tx, { workspaceId, apiKeyId, type, at, data }: EventDraft): Promise<void> {
  const payload = writePayload(type, at, data);
  await tx.$queryRaw`
    SELECT tollkeeper.publish_event(
      ${newId('webhookEvent')}, ${workspaceId}, ${apiKeyId}, ${type}, ${payload}, NULL, ${at}::timestamptz, false
    )::text`;
}

/** The body of a webhook, as Standard Webhooks recommends it. It is stored as it is signed, and never written anew. */
export function writePayload(
  type: OwnEventType | typeof testEventType | (string & {}),
  at: Date,
  data: unknown,
): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data });
}
