import { type Keyset, readNestedPages, toPrismaPage } from '../../db/keyset.js';
import type { Db } from '../../db/transaction.js';
import {
  type Invitation,
  type Member,
  Prisma,
  type Workspace,
  type WorkspaceFeature,
} from '../../generated/prisma/client.js';
import type { Principal } from '../access/principal.js';
import { visibleWorkspaces } from '../access/visibility.js';
import { type InvitationState, isInState } from './invitation-state.js';

/** A page of the workspaces that are visible to the principal. */
export function listWorkspaces(db: Db, principal: Principal, page: Keyset): Promise<Workspace[]> {
  return db.workspace.findMany(toPrismaPage(page, visibleWorkspaces(principal)));
}

/** A page of the members of each workspace. */
export function listMembersOf(db: Db, workspaceIds: readonly string[], page: Keyset): Promise<Map<string, Member[]>> {
  const rows = Prisma.sql`SELECT "id" FROM "Member" WHERE "workspaceId" = p."id"`;
  return readNestedPages(db, rows, workspaceIds, page, (query) => db.member.findMany(query));
}

/** A page of the invitations to each workspace that are in a state now; null: in any state. */
export function listInvitationsOf(
  db: Db,
  workspaceIds: readonly string[],
  state: InvitationState | null,
  page: Keyset,
  now: Date,
): Promise<Map<string, Invitation[]>> {
  const inState = state === null ? Prisma.empty : Prisma.sql`AND ${isInState(state, now)}`;
  const rows = Prisma.sql`SELECT "id" FROM "Invitation" WHERE "workspaceId" = p."id" ${inState}`;
  return readNestedPages(db, rows, workspaceIds, page, (query) => db.invitation.findMany(query));
}

/** The enabled features of each workspace, by product and name. Workspaces without any are left out. */
export async function readFeaturesOf(
  db: Db,
  workspaceIds: readonly string[],
): Promise<Map<string, WorkspaceFeature[]>> {
  const features = await db.workspaceFeature.findMany({
    where: { workspaceId: { in: [...workspaceIds] } },
    orderBy: [{ product: 'asc' }, { feature: 'asc' }],
  });
  const featuresOf = new Map<string, WorkspaceFeature[]>();
  for (const feature of features) {
    const known = featuresOf.get(feature.workspaceId);
    if (known === undefined) featuresOf.set(feature.workspaceId, [feature]);
    else known.push(feature);
  }
  return featuresOf;
}
