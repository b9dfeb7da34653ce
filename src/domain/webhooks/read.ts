import { type Keyset, readNestedPages, toPrismaPage } from '../../db/keyset.js';
import type { Db } from '../../db/transaction.js';
import {
  Prisma,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookEndpoint,
} from '../../generated/prisma/client.js';
import type { WebhookDeliveryState } from '../../generated/prisma/enums.js';
import type { Principal } from '../access/principal.js';
import { visibleWebhookDeliveries, visibleWebhookEndpoints } from '../access/visibility.js';

/** Conditions that listed endpoints meet. Omitted ones are ignored. */
export interface WebhookEndpointFilter {
  readonly workspaceId?: string | null | undefined;
  readonly apiKeyId?: string | null | undefined;
}

/** A page of the endpoints that the principal sees. */
export function listWebhookEndpoints(
  db: Db,
  principal: Principal,
  { workspaceId, apiKeyId }: WebhookEndpointFilter,
  page: Keyset,
): Promise<WebhookEndpoint[]> {
  const conditions = { ...(workspaceId != null && { workspaceId }), ...(apiKeyId != null && { apiKeyId }) };
  return db.webhookEndpoint.findMany(toPrismaPage(page, { AND: [visibleWebhookEndpoints(principal), conditions] }));
}

/** Conditions that listed deliveries meet. Omitted ones are ignored. */
export interface WebhookDeliveryFilter {
  readonly workspaceId?: string | null | undefined;
  readonly state?: WebhookDeliveryState | null | undefined;
  readonly endpointId?: string | null | undefined;
  readonly eventId?: string | null | undefined;
  readonly eventType?: string | null | undefined;
}

/** A page of the deliveries that the principal sees. */
export function listWebhookDeliveries(
  db: Db,
  principal: Principal,
  { workspaceId, state, endpointId, eventId, eventType }: WebhookDeliveryFilter,
  page: Keyset,
): Promise<WebhookDelivery[]> {
  const conditions = {
    ...(workspaceId != null && { workspaceId }),
    ...(state != null && { state }),
    ...(endpointId != null && { endpointId }),
    ...(eventId != null && { eventId }),
    ...(eventType != null && { event: { type: eventType } }),
  };
  return db.webhookDelivery.findMany(toPrismaPage(page, { AND: [visibleWebhookDeliveries(principal), conditions] }));
}

/** A page of the deliveries to each endpoint. */
export function listDeliveriesOf(
  db: Db,
  endpointIds: readonly string[],
  page: Keyset,
): Promise<Map<string, WebhookDelivery[]>> {
  const rows = Prisma.sql`SELECT "id" FROM "WebhookDelivery" WHERE "endpointId" = p."id"`;
  return readNestedPages(db, rows, endpointIds, page, (query) => db.webhookDelivery.findMany(query));
}

/** A page of the attempts of each delivery. */
export function listAttemptsOf(
  db: Db,
  deliveryIds: readonly string[],
  page: Keyset,
): Promise<Map<string, WebhookAttempt[]>> {
  const rows = Prisma.sql`SELECT "id" FROM "WebhookAttempt" WHERE "deliveryId" = p."id"`;
  return readNestedPages(db, rows, deliveryIds, page, (query) => db.webhookAttempt.findMany(query));
}
