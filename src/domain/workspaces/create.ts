import { newId } from '../../db/ids.js';
import { transaction } from '../../db/transaction.js';
import { ForbiddenError, LimitReachedError } from '../../errors.js';
import type { Workspace } from '../../generated/prisma/client.js';
import { parseName } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';

/** The most organizations that one person owns. Each may come with free credits, so there is an end to it. */
export const ownedOrganizationsMax = 100;

export interface CreateWorkspace {
  readonly name: string;
}

/** Makes an ORGANIZATION; its maker is the owner. @throws ValidationError, LimitReachedError, ForbiddenError for whoever is no person. */
export async function createWorkspace(
  deps: Deps,
  actor: Actor,
  input: CreateWorkspace,
): Promise<{ workspace: Workspace }> {
  const { principal } = actor;
  if (principal.kind !== 'user') throw new ForbiddenError('workspace:create');
  const name = parseName('input.name', input.name);
  return transaction(deps.db, async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${principal.userId} FOR UPDATE`;
    const owned = await tx.member.count({
      where: { userId: principal.userId, role: 'OWNER', workspace: { kind: 'ORGANIZATION' } },
    });
    if (owned >= ownedOrganizationsMax) {
      throw new LimitReachedError(ownedOrganizationsMax, `One person can own ${ownedOrganizationsMax} organizations.`);
    }
    const workspace = await tx.workspace.create({ data: { id: newId('workspace'), kind: 'ORGANIZATION', name } });
    const workspaceId = workspace.id;
    await tx.member.create({ data: { id: newId('member'), workspaceId, userId: principal.userId, role: 'OWNER' } });
    await tx.creditAccount.create({ data: { workspaceId } });
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'workspace.created',
      subjectId: workspaceId,
      after: { kind: workspace.kind, name, ownerUserId: principal.userId },
    });
    return { workspace };
  });
}
