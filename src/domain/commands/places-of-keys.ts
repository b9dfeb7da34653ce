import type { Db } from '../../db/transaction.js';
import { findAccess } from '../access/access.js';
import type { Permission } from '../access/permissions.js';
import { mayIssueKeys, mayManageKey } from '../keys/management.js';
import { type Kind, type Place, spaceOf } from './place.js';
import { ofPerson } from './places-of-people.js';

/** The making of a key: the product says who may. */
export const ofIssuer: Kind<{
  readonly workspaceId?: string | null | undefined;
  readonly product?: string | null | undefined;
}> = {
  space: spaceOf('apiKey:create'),
  findPlace: async (deps, actor, { workspaceId, product }, keyHash) => {
    const slug = product ?? deps.products.primary.slug;
    if (workspaceId != null) return { workspaceId, product: slug, subject: null };
    const own = await ofPerson.findPlace(deps, actor, null, keyHash);
    return own && { ...own, product: slug };
  },
  allows: async (db, { products }, { principal }, { workspaceId, product: slug }) => {
    const product = products.find(slug ?? '');
    if (product === null) return false;
    const access = await findAccess(db, principal, workspaceId);
    return access !== null && mayIssueKeys(product, principal, access);
  },
};

/** What is done to a key by whoever manages it. A deleted one is still there for this. */
export function onApiKey(permission: Permission): Kind<{ readonly apiKeyId: string }> {
  return {
    ...onSecretOfKey(permission),
    findPlace: ({ db }, _actor, { apiKeyId }) => findKeyPlace(db, apiKeyId),
  };
}

/** What is done to one of the secrets of a key. */
export function onSecretOfKey(permission: Permission): Kind<{ readonly secretId: string }> {
  return {
    space: spaceOf(permission),
    findPlace: async ({ db }, _actor, { secretId }) => {
      const secret = await db.keySecret.findUnique({ where: { id: secretId }, select: { apiKeyId: true } });
      return secret && findKeyPlace(db, secret.apiKeyId);
    },
    allows: async (db, { products }, actor, { workspaceId, product: slug, subject }) => {
      const product = products.find(slug ?? '');
      if (product === null) return false;
      const access = await findAccess(db, actor.principal, workspaceId);
      return access !== null && mayManageKey(product, actor, access, { id: subject ?? '' }, permission);
    },
  };
}

async function findKeyPlace(db: Db, apiKeyId: string): Promise<Place | null> {
  const key = await db.apiKey.findUnique({ where: { id: apiKeyId }, select: { workspaceId: true, product: true } });
  return key && { ...key, subject: apiKeyId };
}
