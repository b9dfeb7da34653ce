import { newId } from '../../db/ids.js';
import { LimitReachedError } from '../../errors.js';
import { parseName } from '../access/input.js';
import { defineCommand } from '../commands/define-command.js';
import { personScope } from './scopes.js';

/** Maximum number of organizations that one user owns. Limited because each may get free credits. */
export const ownedOrganizationsMax = 100;

export interface CreateWorkspaceInput {
  readonly name: string;
}

/**
 * Creates an ORGANIZATION that the caller owns.
 * @throws ValidationError, LimitReachedError, ForbiddenError for keys and services
 */
export const createWorkspace = defineCommand({
  name: 'createWorkspace',
  permission: 'workspace:create',
  scope: personScope,
  audit: { done: 'workspace.created', refused: 'workspace.create.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, audit }, input: CreateWorkspaceInput, { userId }) {
    const name = parseName('name', input.name);
    await tx.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${userId} FOR UPDATE`;
    const owned = await tx.member.count({ where: { userId, role: 'OWNER', workspace: { kind: 'ORGANIZATION' } } });
    if (owned >= ownedOrganizationsMax) {
      throw new LimitReachedError(
        ownedOrganizationsMax,
        `A user can own at most ${ownedOrganizationsMax} organizations. Make another member the owner of one first.`,
      );
    }
    const workspace = await tx.workspace.create({ data: { id: newId('workspace'), kind: 'ORGANIZATION', name } });
    const workspaceId = workspace.id;
    await tx.member.create({ data: { id: newId('member'), workspaceId, userId, role: 'OWNER' } });
    await tx.creditAccount.create({ data: { workspaceId } });
    audit({
      workspaceId,
      subjectId: workspaceId,
      after: { kind: workspace.kind, name, ownerUserId: userId },
    });
    return { workspace };
  },
});
