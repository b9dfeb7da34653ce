import type { Db, Tx } from '../../db/transaction.js';
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import type { Product, Products } from '../../products/product.js';
import { type Access, findAccess, lockWorkspace } from '../access/access.js';
import type { Permission } from '../access/permissions.js';
import type { Principal } from '../access/principal.js';
import type { Scope, ScopeContext, Target } from '../commands/define-command.js';
import { findPersonalWorkspaceId } from '../workspaces/personal.js';
import { locateWorkspace, workspaceNotFound } from '../workspaces/scopes.js';

/** The key that a command changes, as read under the lock, and its product. */
export interface ManagedKey {
  readonly key: ApiKey;
  readonly product: Product;
}

/** Commands about a key. A deleted key is still located, so that its deletion can be replayed. */
export const apiKeyScope: Scope<{ readonly apiKeyId: string }, ManagedKey> = {
  ids: ({ apiKeyId }) => [apiKeyId],
  locate: ({ db }, { apiKeyId }) => locateKey(db, apiKeyId),
  notFound: ({ products }) => keyNotFound('apiKeyId', products),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: (context, target) => authorizeToManage('apiKeyId', context, target),
  load: ({ db, products }, _target, _access, { apiKeyId }) => loadKey('apiKeyId', db, products, apiKeyId),
};

/** Commands about one secret of a key. */
export const keySecretScope: Scope<{ readonly secretId: string }, ManagedKey> = {
  ids: ({ secretId }) => [secretId],
  locate: async ({ db }, { secretId }) => {
    const secret = await db.keySecret.findUnique({ where: { id: secretId }, select: { apiKeyId: true } });
    const target = secret && (await locateKey(db, secret.apiKeyId));
    return target && { ...target, recordId: secretId };
  },
  notFound: () => secretNotFound(),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: (context, target) => authorizeToManage('secretId', context, target).catch(rethrowAsSecret),
  load: ({ db, products }, { subject }) => loadKey('secretId', db, products, subject ?? '').catch(rethrowAsSecret),
};

/** If the key is not visible, its secret is reported as not found. */
function rethrowAsSecret(error: unknown): never {
  throw error instanceof NotFoundError ? secretNotFound() : error;
}

function secretNotFound(): NotFoundError {
  return new NotFoundError('secretId', 'Secret not found.');
}

interface NewKeyInput {
  /** By default the user's PERSONAL workspace. */
  readonly workspaceId?: string | null | undefined;
  /** By default the server's first product. */
  readonly product?: string | null | undefined;
}

/** The creation of a key. The product defines who may issue keys. */
export const keyIssuerScope: Scope<NewKeyInput, { readonly workspaceId: string; readonly product: Product }> = {
  ids: ({ workspaceId }) => (workspaceId == null ? [] : [workspaceId]),
  locate: async (context, input) => {
    const { db, products } = context;
    const product = input.product ?? products.primary.slug;
    if (input.workspaceId == null) {
      return { workspaceId: await getOwnWorkspaceId(context), product, recordId: null, subject: null };
    }
    const target = await locateWorkspace(db, input.workspaceId);
    return target && { ...target, product };
  },
  notFound: () => workspaceNotFound(),
  lock: (tx, { workspaceId }) => lockWorkspace(tx, workspaceId),
  authorize: async ({ db, principal, products }, target) => {
    const access = await findAccess(db, principal, target.workspaceId);
    if (access === null) throw workspaceNotFound();
    const product = getProduct(products, target.product);
    if (!mayIssueKeys(product, principal, access)) throw missingToIssue(product);
    return access;
  },
  load: async ({ products }, { workspaceId, product }, { suspendedAt }) => {
    if (suspendedAt !== null) throw new ConflictError('The workspace is suspended. Ask the operator to resume it.');
    return { workspaceId, product: getProduct(products, product) };
  },
};

/**
 * Whether a principal may issue keys of a product in a workspace. An issuer may also change and revoke keys.
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

/**
 * Whether a principal may change a key: an issuer, the key itself, or, if the product issues keys by role, a
 * member to whom the permission was granted.
 */
function mayManageKey(
  product: Product,
  principal: Principal,
  access: Access,
  apiKeyId: string,
  permission: Permission,
): boolean {
  if (principal.kind === 'apiKey') return principal.apiKeyId === apiKeyId && principal.permissions.has(permission);
  if (mayIssueKeys(product, principal, access)) return true;
  return product.issuers.by === 'role' && access.givenPermissions.has(permission);
}

async function locateKey(db: Db | Tx, apiKeyId: string): Promise<Target | null> {
  const key = await db.apiKey.findUnique({ where: { id: apiKeyId }, select: { workspaceId: true, product: true } });
  return key && { ...key, recordId: apiKeyId, subject: apiKeyId };
}

async function authorizeToManage(field: string, context: ScopeContext, target: Target): Promise<Access> {
  const { db, principal, products, permission } = context;
  const apiKeyId = target.subject ?? '';
  const access = await findAccess(db, principal, target.workspaceId);
  const product = products.find(target.product ?? '');
  if (access === null || product === null || !seesKey(principal, apiKeyId)) throw keyNotFound(field, products);
  if (!mayManageKey(product, principal, access, apiKeyId, permission)) throw missingToManage(product, permission);
  return access;
}

/** An API key can see only itself. */
export function seesKey(principal: Principal, apiKeyId: string): boolean {
  if (principal.kind !== 'apiKey') return true;
  return principal.apiKeyId === apiKeyId && principal.permissions.has('apiKey:read');
}

async function loadKey(field: string, tx: Tx, products: Products, apiKeyId: string): Promise<ManagedKey> {
  const key = await tx.apiKey.findFirst({ where: { id: apiKeyId, deletedAt: null } });
  const product = key && products.find(key.product);
  if (key === null || product === null) throw keyNotFound(field, products);
  return { key, product };
}

/** The product of a missing key is unknown, so the wording of the first product applies. */
export function keyNotFound(field: string, products: Products): NotFoundError {
  return new NotFoundError(field, products.primary.wording.NOT_FOUND.message);
}

/**
 * Names the permission that is required: if the product issues keys by permission, that one instead of the
 * command's.
 */
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

function missingToIssue({ slug, issuers }: Product): ForbiddenError {
  return new ForbiddenError(
    issuers.by === 'permission' ? issuers.permission : 'apiKey:create',
    issuers.by === 'operator'
      ? `Keys of ${slug} are issued by the operator.`
      : `You may not create keys of ${slug} in this workspace.`,
  );
}

function getProduct(products: Products, slug: string | null | undefined): Product {
  const product = slug == null ? products.primary : products.find(slug);
  if (product !== null) return product;
  const slugs = products.all.map((each) => each.slug).join(', ');
  throw new ValidationError('product', `Unknown product. Use one of: ${slugs}.`);
}

async function getOwnWorkspaceId({ db, principal }: ScopeContext): Promise<string> {
  const workspaceId = principal.kind === 'user' ? await findPersonalWorkspaceId(db, principal.userId) : null;
  if (workspaceId === null)
    throw new ValidationError('workspaceId', 'Set workspaceId to the workspace that will own the key.');
  return workspaceId;
}
