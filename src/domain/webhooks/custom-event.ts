import { newId } from '../../db/ids.js';
import { ValidationError } from '../../errors.js';
import { parseIdempotencyKey } from '../access/input.js';
import { defineCommand } from '../commands/define-command.js';
import { parseCustomEventType } from '../events/event-types.js';
import { writePayload } from '../events/publish.js';
import { audienceScope } from './scopes.js';

export interface PublishEventInput {
  /** The key whose endpoints receive the event. Either this or a workspace. */
  readonly apiKeyId?: string | null | undefined;
  readonly workspaceId?: string | null | undefined;
  readonly type: string;
  /** A JSON object. */
  readonly data?: unknown;
  readonly idempotencyKey?: string | null | undefined;
}

/** The most bytes of a payload. Standard Webhooks recommends less than 20 KB. */
const payloadBytesMax = 65_536;

/**
 * Publishes an event of the product to its customer's webhook endpoints. With an idempotency key it is
 * published once per workspace; a replay returns the original event, whatever its input.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for a revoked key
 */
export const publishCustomEvent = defineCommand({
  name: 'publishEvent',
  permission: 'event:publish',
  scope: audienceScope,
  audit: { done: null, refused: 'event.publish.refused' },
  shownOnce: null,
  throttled: false,
  async run({ tx, clock }, input: PublishEventInput, { workspaceId, apiKeyId }) {
    const type = parseCustomEventType('type', input.type);
    const idempotencyKey = parseIdempotencyKey('idempotencyKey', input.idempotencyKey);
    const createdAt = clock();
    const payload = parsePayload('data', type, createdAt, input.data);
    const id = newId('webhookEvent');
    await tx.$queryRaw`
      SELECT tollkeeper.publish_event(
        ${id}, ${workspaceId}, ${apiKeyId}, ${type}, ${payload}, ${idempotencyKey}, ${createdAt}::timestamptz, true
      )::text`;
    const event = await tx.webhookEvent.findUnique({ where: { id } });
    if (event !== null) return { event, replayed: false };
    // The unique index refused the event: another one was published under this key before.
    const original = await tx.webhookEvent.findFirstOrThrow({ where: { workspaceId, idempotencyKey } });
    return { event: original, replayed: true };
  },
});

function parsePayload(field: string, type: string, at: Date, data: unknown): string {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new ValidationError(field, 'The data of an event is a JSON object.');
  }
  const payload = writePayload(type, at, data);
  if (Buffer.byteLength(payload) > payloadBytesMax) {
    throw new ValidationError(
      field,
      `An event has at most ${payloadBytesMax} bytes of JSON. Send a summary and a link to the details.`,
    );
  }
  return payload;
}
