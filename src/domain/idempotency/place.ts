import type { Db, Tx } from '../../db/transaction.js';
import type { Role } from '../../generated/prisma/enums.js';
import { type Access, findAccess } from '../access.js';
import { mayIssueKeys, mayManageKey } from '../api-keys/management.js';
import type { Deps } from '../deps.js';
import { mayActOnRole } from '../members/rank.js';
import { type Permission, rolePermissions, userPermissions } from '../permissions.js';
import type { Actor } from '../principal.js';
import { findPersonalWorkspaceId } from '../workspaces/personal.js';
import { readResult } from './result-text.js';

/** Where a call happens, as far as it has to be known to say whether somebody may repeat it. */
export interface Place {
  readonly workspaceId: string;
  /** Whose rules hold, by its slug; null where no product is concerned. */
  readonly product: string | null;
  /** What the permission depends on beside the workspace: the id of a key or a person, a role; null where on nothing. */
  readonly subject: string | null;
}

/** What idempotency has to know of one kind of call. */
export interface Kind<Input> {
  /** Keys that customers choose for what they may do, and those that services choose for what only they do, never meet. */
  readonly space: 'CUSTOMER' | 'SERVICE';
  /** Finds where a call happens; null where what it names does not exist. Nothing is decided here about who may know. */
  findPlace(deps: Deps, actor: Actor, input: Input, keyHash: Uint8Array<ArrayBuffer>): Promise<Place | null>;
  /** Whether somebody may do this there, and so may see again what came of it. */
  allows(db: Db | Tx, deps: Deps, actor: Actor, place: Place): Promise<boolean>;
}

function spaceOf(permission: Permission): Kind<never>['space'] {
  return rolePermissions.OWNER.has(permission) || userPermissions.has(permission) ? 'CUSTOMER' : 'SERVICE';
}

/** What a person does before there is a workspace to do it in: it belongs to their own. */
export const ofPerson: Kind<unknown> = {
  space: 'CUSTOMER',
  findPlace: async (deps, { principal }) => {
    const workspaceId = principal.kind === 'user' ? await findPersonalWorkspaceId(deps, principal.userId) : null;
    return workspaceId === null ? null : { workspaceId, product: null, subject: null };
  },
  // The place itself was found from who asks.
  allows: async (_db, _deps, { principal }) => principal.kind === 'user',
};

/** What is done to a workspace that the input names, under a permission in it. */
export function inWorkspace(permission: Permission): Kind<{ readonly workspaceId: string }> {
  return {
    space: spaceOf(permission),
    findPlace: async (_deps, _actor, { workspaceId }) => ({ workspaceId, product: null, subject: null }),
    allows: holds(permission),
  };
}

/** An invitation: nobody hands out a role above their own, nor sees its token. */
export const ofInviter: Kind<{ readonly workspaceId: string; readonly role: Role }> = {
  space: spaceOf('member:invite'),
  findPlace: async (_deps, _actor, { workspaceId, role }) => ({ workspaceId, product: null, subject: role }),
  allows: async (db, _deps, { principal }, { workspaceId, subject }) => {
    const access = await findAccess(db, principal, workspaceId);
    if (!access?.permissions.has('member:invite')) return false;
    return mayActOnRole(access, subject as Role);
  },
};

/** What is done to a member. People may repeat what they did to themselves, whatever that has left them. */
export function onMember(permission: Permission): Kind<{ readonly memberId: string }> {
  const allowsOthers = holds(permission);
  return {
    space: spaceOf(permission),
    findPlace: async ({ db }, _actor, { memberId }, keyHash) => {
      const member = await db.member.findUnique({
        where: { id: memberId },
        select: { workspaceId: true, userId: true },
      });
      if (member === null) return findPlaceOfRemovedMember(db, memberId, keyHash);
      return { workspaceId: member.workspaceId, product: null, subject: member.userId };
    },
    allows: async (db, deps, actor, place) =>
      (actor.principal.kind === 'user' && actor.principal.userId === place.subject) ||
      allowsOthers(db, deps, actor, place),
  };
}

/** More workspaces than one client chooses the same key in. */
const sameKeysMax = 100;

/** Nothing is left of a removed member but what came of the removal. */
async function findPlaceOfRemovedMember(
  db: Db,
  memberId: string,
  keyHash: Uint8Array<ArrayBuffer>,
): Promise<Place | null> {
  const removals = await db.idempotencyRecord.findMany({
    where: { keyHash, operation: 'removeMember' },
    take: sameKeysMax,
  });
  return removals.find(({ result }) => removedMemberIdOf(result) === memberId) ?? null;
}

function removedMemberIdOf(text: string | null): unknown {
  const result = text === null ? null : readResult(text);
  return typeof result === 'object' && result !== null && 'removedMemberId' in result ? result.removedMemberId : null;
}

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

/** What is done to a key. A deleted one is still there for this. */
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

/** What is done to a charge. */
export const onCharge: Kind<{ readonly chargeId: string }> = {
  space: spaceOf('charge:settle'),
  findPlace: ({ db }, _actor, { chargeId }) =>
    db.charge
      .findUnique({ where: { id: chargeId }, select: { workspaceId: true, product: true } })
      .then((charge) => charge && { ...charge, subject: null }),
  allows: holds('charge:settle'),
};

function holds(permission: Permission): Kind<never>['allows'] {
  return async (db, _deps, { principal }, { workspaceId }) => {
    const access: Access | null = await findAccess(db, principal, workspaceId);
    return access?.permissions.has(permission) ?? false;
  };
}
