import type { Tx } from '../../db/transaction.js';
import { ForbiddenError, LimitReachedError, NotFoundError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import { type Access, findAccess, lockWorkspace } from '../access/access.js';
import type { Permission } from '../access/permissions.js';
import type { Actor, Principal } from '../access/principal.js';
import { visibleApiKeys } from '../access/visibility.js';
import type { Deps } from '../deps.js';
import { hasStatus } from './status.js';

/**
 * Whether the product lets somebody issue keys. Whoever may issue them may also change and end them.
 * An API key never issues keys.
 */
export function mayIssueKeys(product: Product, principal: Principal, access: Access): boolean {
  if (principal.kind === 'service') return true;
  if (principal.kind !== 'user' || access.role === null) return false;
  const { issuers } = product;
  switch (issuers.by) {
    case 'operator':
      return false;
    case 'permission':
      return access.permissions.has(issuers.permission);
    case 'role':
      return issuers[access.workspaceKind].includes(access.role);
  }
}

/** Whether somebody may change or end a key: whoever may issue keys of the product, and, where keys go by role, a member who was given the permission. */
export function mayManageKey(
  product: Product,
  actor: Actor,
  access: Access,
  key: Pick<ApiKey, 'id'>,
  permission: Permission,
): boolean {
  const { principal } = actor;
  if (principal.kind === 'apiKey') return principal.apiKeyId === key.id && principal.permissions.has(permission);
  if (mayIssueKeys(product, principal, access)) return true;
  return product.issuers.by === 'role' && access.givenPermissions.has(permission);
}

/**
 * The key as it stands under its workspace's lock, where the principal may do this to it.
 * @throws NotFoundError for a key that it does not see, ForbiddenError
 */
export async function getManagedKey(
  tx: Tx,
  { products }: Pick<Deps, 'products'>,
  actor: Actor,
  apiKeyId: string,
  permission: Permission,
  field = 'input.apiKeyId',
): Promise<{ key: ApiKey; product: Product }> {
  // Nobody knows the product of a key that is not there.
  const notFound = new NotFoundError(field, products.primary.wording.NOT_FOUND.message);
  const visible = { AND: [{ id: apiKeyId }, visibleApiKeys(actor.principal)] };
  const seen = await tx.apiKey.findFirst({ where: visible, select: { workspaceId: true } });
  if (seen === null) throw notFound;
  await lockWorkspace(tx, seen.workspaceId);
  const access = await findAccess(tx, actor.principal, seen.workspaceId);
  const key = await tx.apiKey.findFirst({ where: visible });
  if (access === null || key === null) throw notFound;
  const product = products.find(key.product);
  if (product === null) throw notFound;
  if (!mayManageKey(product, actor, access, key, permission)) throw missingToManage(product, permission);
  return { key, product };
}

/** Names what would help: where keys do not go by role, the permission of the act itself would not. */
function missingToManage({ slug, issuers }: Product, permission: Permission): ForbiddenError {
  switch (issuers.by) {
    case 'operator':
      return new ForbiddenError(permission, `Keys of ${slug} are managed by the operator.`);
    case 'permission':
      return new ForbiddenError(issuers.permission);
    case 'role':
      return new ForbiddenError(permission);
  }
}

/** Refuses one more active key where the product's limit is reached. Call it under the workspace's lock. @throws LimitReachedError */
export async function requireRoomForKey(tx: Tx, product: Product, workspaceId: string, now: Date): Promise<void> {
  const { activeKeysMax } = product;
  if (activeKeysMax === null) return;
  const active = await tx.apiKey.count({
    where: { workspaceId, product: product.slug, ...hasStatus('ACTIVE', now) },
  });
  if (active >= activeKeysMax) {
    throw new LimitReachedError(
      activeKeysMax,
      `A workspace can have ${activeKeysMax} active keys of ${product.slug}. Revoke or disable one first.`,
    );
  }
}
