import DataLoader from 'dataloader';
import {
  type ApiKey,
  Prisma,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WebhookEvent,
} from '../generated/prisma/client.js';
import type { Context } from './context.js';
import { type NestedPage, pageLoader, rowLoader } from './loaders.js';

interface WebhookLoaders {
  readonly apiKeysById: DataLoader<string, ApiKey>;
  readonly endpointsById: DataLoader<string, WebhookEndpoint>;
  readonly eventsById: DataLoader<string, WebhookEvent>;
  /** At how many credits a workspace is told that they are few. */
  readonly lowAtOf: DataLoader<string, number | null>;
  readonly deliveriesOf: DataLoader<NestedPage, WebhookDelivery[], string>;
  readonly attemptsOf: DataLoader<NestedPage, WebhookAttempt[], string>;
}

/** Lists that hang under an endpoint and under a delivery, newest first. */
const nested = {
  deliveries: Prisma.sql`SELECT "id" FROM "WebhookDelivery" WHERE "endpointId" = p."id"`,
  attempts: Prisma.sql`SELECT "id" FROM "WebhookAttempt" WHERE "deliveryId" = p."id"`,
};

/** Made when a request first asks for webhooks, since most never do. */
const loadersOfRequest = new WeakMap<Context, WebhookLoaders>();

/** What one request looks up together about webhooks. */
export function webhookLoaders(context: Context): WebhookLoaders {
  const existing = loadersOfRequest.get(context);
  if (existing !== undefined) return existing;
  const { deps } = context;
  const { db } = deps;
  const byId = (ids: string[]) => ({ where: { id: { in: ids } } });
  const made: WebhookLoaders = {
    apiKeysById: rowLoader((ids) => db.apiKey.findMany(byId(ids))),
    endpointsById: rowLoader((ids) => db.webhookEndpoint.findMany(byId(ids))),
    eventsById: rowLoader((ids) => db.webhookEvent.findMany(byId(ids))),
    lowAtOf: new DataLoader<string, number | null>(async (workspaceIds) => {
      const accounts = await db.creditAccount.findMany({
        where: { workspaceId: { in: [...workspaceIds] } },
        select: { workspaceId: true, lowAt: true },
      });
      const byWorkspace = new Map(accounts.map(({ workspaceId, lowAt }) => [workspaceId, lowAt]));
      return workspaceIds.map((workspaceId) => byWorkspace.get(workspaceId) ?? null);
    }),
    deliveriesOf: pageLoader(deps, nested.deliveries, (ids) => db.webhookDelivery.findMany(byId(ids))),
    attemptsOf: pageLoader(deps, nested.attempts, (ids) => db.webhookAttempt.findMany(byId(ids))),
  };
  loadersOfRequest.set(context, made);
  return made;
}
