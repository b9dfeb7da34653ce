import type { Tx } from '../../db/transaction.js';
import { ForbiddenError, NotFoundError } from '../../errors.js';
import type { ApiKey, WebhookEndpoint } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import { findAccess, lockWorkspace } from '../access/access.js';
import type { Permission } from '../access/permissions.js';
import type { Actor, Principal } from '../access/principal.js';
import { visibleApiKeys, visibleWebhookEndpoints } from '../access/visibility.js';
import type { Deps } from '../deps.js';

const manage: Permission = 'webhook:manage';

/** The key that is to have an endpoint, under its workspace's lock. @throws NotFoundError, ForbiddenError */
export async function getKeyForWebhooks(
  tx: Tx,
  { products }: Pick<Deps, 'products'>,
  { principal }: Actor,
  apiKeyId: string,
): Promise<{ key: ApiKey; product: Product }> {
  const notFound = new NotFoundError('input.apiKeyId', products.primary.wording.NOT_FOUND.message);
  const visible = { AND: [{ id: apiKeyId }, visibleApiKeys(principal)] };
  const seen = await tx.apiKey.findFirst({ where: visible, select: { workspaceId: true } });
  if (seen === null) throw notFound;
  await lockWorkspace(tx, seen.workspaceId);
  await requireManager(tx, principal, seen.workspaceId, notFound);
  const key = await tx.apiKey.findFirst({ where: visible });
  const product = key && products.find(key.product);
  if (key === null || product === null) throw notFound;
  return { key, product };
}

/** An endpoint that the principal may change, under its workspace's lock. @throws NotFoundError, ForbiddenError */
export async function getManagedEndpoint(
  tx: Tx,
  { principal }: Actor,
  endpointId: string,
): Promise<{ endpoint: WebhookEndpoint; key: ApiKey }> {
  const notFound = new NotFoundError('input.endpointId', 'Webhook endpoint not found.');
  const where = { AND: [{ id: endpointId }, visibleWebhookEndpoints(principal)] };
  const seen = await tx.webhookEndpoint.findFirst({ where, select: { workspaceId: true } });
  if (seen === null) throw notFound;
  await lockWorkspace(tx, seen.workspaceId);
  await requireManager(tx, principal, seen.workspaceId, notFound);
  const found = await tx.webhookEndpoint.findFirst({ where, include: { apiKey: true } });
  if (found === null) throw notFound;
  const { apiKey: key, ...endpoint } = found;
  return { endpoint, key };
}

async function requireManager(tx: Tx, principal: Principal, workspaceId: string, notFound: Error): Promise<void> {
  const access = await findAccess(tx, principal, workspaceId);
  if (access === null) throw notFound;
  if (!access.permissions.has(manage)) throw new ForbiddenError(manage);
}
