import type { Db } from '../../db/transaction.js';
import type { Role } from '../../generated/prisma/enums.js';
import { findAccess } from '../access/access.js';
import type { Permission } from '../access/permissions.js';
import { findPersonalWorkspaceId } from '../workspaces/personal.js';
import { mayActOnRole } from '../workspaces/rank.js';
import { holds, type Kind, type Place, spaceOf } from './place.js';
import { readResult } from './result-text.js';

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
    select: { workspaceId: true, product: true, subject: true, result: true },
    take: sameKeysMax,
  });
  return removals.find(({ result }) => removedMemberIdOf(result) === memberId) ?? null;
}

function removedMemberIdOf(text: string | null): unknown {
  const result = text === null ? null : readResult(text);
  return typeof result === 'object' && result !== null && 'removedMemberId' in result ? result.removedMemberId : null;
}
