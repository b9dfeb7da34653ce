import { newId } from '../../db/ids.js';
import { transaction } from '../../db/transaction.js';
import { ConflictError, NotFoundError, ValidationError } from '../../errors.js';
import type { WebhookEvent } from '../../generated/prisma/client.js';
import { getAccess } from '../access/access.js';
import { parseIdempotencyKey } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { visibleApiKeys } from '../access/visibility.js';
import type { Deps } from '../deps.js';
import { parseCustomEventType } from '../events/event-types.js';
import { writePayload } from '../events/publish.js';

export interface PublishCustomEvent {
  /** Whose endpoints hear of it. This, or a workspace: not both. */
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
 * Tells a customer of something that happened at the product, through the same signed path as this server's own events. With an
 * idempotency key it is told once per workspace; a repetition returns the original, whatever else it says.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for a revoked key
 */
export async function publishCustomEvent(
  deps: Deps,
  actor: Actor,
  input: PublishCustomEvent,
): Promise<{ event: WebhookEvent; replayed: boolean }> {
  const type = parseCustomEventType('input.type', input.type);
  const idempotencyKey = parseIdempotencyKey('input.idempotencyKey', input.idempotencyKey);
  const createdAt = deps.clock();
  const payload = parsePayload('input.data', type, createdAt, input.data);
  return transaction(deps.db, async (tx) => {
    const { workspaceId, apiKeyId } = await findAudience(deps, tx, actor, input);
    const id = newId('webhookEvent');
    await tx.$queryRaw`
      SELECT tollkeeper.publish_event(
        ${id}, ${workspaceId}, ${apiKeyId}, ${type}, ${payload}, ${idempotencyKey}, ${createdAt}::timestamptz, true
      )::text`;
    const event = await tx.webhookEvent.findUnique({ where: { id } });
    if (event !== null) return { event, replayed: false };
    // The unique index has decided: somebody published under this key before.
    const original = await tx.webhookEvent.findFirstOrThrow({ where: { workspaceId, idempotencyKey } });
    return { event: original, replayed: true };
  });
}

type Reader = Parameters<Parameters<typeof transaction>[1]>[0];

async function findAudience(
  { products }: Deps,
  tx: Reader,
  { principal }: Actor,
  { apiKeyId, workspaceId }: PublishCustomEvent,
): Promise<{ workspaceId: string; apiKeyId: string | null }> {
  if (apiKeyId != null && workspaceId != null) {
    throw new ValidationError('input.workspaceId', 'Name a key or a workspace, not both.');
  }
  if (apiKeyId == null) {
    if (workspaceId == null)
      throw new ValidationError('input.apiKeyId', 'Name the key, or the workspace, that is to hear of it.');
    const access = await getAccess(tx, principal, workspaceId, 'event:publish');
    return { workspaceId: access.workspaceId, apiKeyId: null };
  }
  const key = await tx.apiKey.findFirst({ where: { AND: [{ id: apiKeyId }, visibleApiKeys(principal)] } });
  if (key === null) throw new NotFoundError('input.apiKeyId', products.primary.wording.NOT_FOUND.message);
  await getAccess(tx, principal, key.workspaceId, 'event:publish');
  if (key.revokedAt !== null) throw new ConflictError('The key is revoked: its endpoints hear of nothing any more.');
  return { workspaceId: key.workspaceId, apiKeyId };
}

function parsePayload(field: string, type: string, at: Date, data: unknown): string {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new ValidationError(field, 'The data of an event is a JSON object.');
  }
  const payload = writePayload(type, at, data);
  if (Buffer.byteLength(payload) > payloadBytesMax) {
    throw new ValidationError(
      field,
      `An event has at most ${payloadBytesMax} bytes of JSON. Send what it is about, and where to read more.`,
    );
  }
  return payload;
}
