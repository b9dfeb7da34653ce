import { parseName, parseReason } from '../access/input.js';
import { defineCommand } from '../commands/define-command.js';
import { publishEvent } from '../events/publish.js';
import { workspaceScope } from './scopes.js';

export interface UpdateWorkspaceInput {
  readonly workspaceId: string;
  readonly name: string;
}

/** Renames a workspace. @throws ValidationError, NotFoundError, ForbiddenError */
export const updateWorkspace = defineCommand({
  name: 'updateWorkspace',
  permission: 'workspace:update',
  scope: workspaceScope,
  audit: { done: 'workspace.updated', refused: 'workspace.update.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, audit }, input: UpdateWorkspaceInput, { workspaceId }) {
    const name = parseName('name', input.name);
    const before = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } });
    const workspace = await tx.workspace.update({ where: { id: workspaceId }, data: { name } });
    audit({ subjectId: workspaceId, before: { name: before.name }, after: { name } });
    return { workspace };
  },
});

export interface SuspendWorkspaceInput {
  readonly workspaceId: string;
  readonly reason?: string | null | undefined;
}

/**
 * Suspends a workspace: the next verification refuses each of its keys. Suspending it again is not an error;
 * the first suspension counts.
 * @throws ValidationError, NotFoundError
 */
export const suspendWorkspace = defineCommand({
  name: 'suspendWorkspace',
  permission: 'workspace:suspend',
  scope: workspaceScope,
  audit: { done: 'workspace.suspended', refused: 'workspace.suspend.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, input: SuspendWorkspaceInput, { workspaceId }) {
    const reason = parseReason('reason', input.reason);
    const suspendedAt = clock();
    const { count } = await tx.workspace.updateMany({
      where: { id: workspaceId, suspendedAt: null },
      data: { suspendedAt, suspensionReason: reason },
    });
    if (count > 0) {
      await publishEvent(tx, {
        workspaceId,
        apiKeyId: null,
        type: 'workspace.suspended',
        at: suspendedAt,
        data: { workspaceId, reason },
      });
      audit({
        subjectId: workspaceId,
        before: { suspendedAt: null, reason: null },
        after: { suspendedAt: suspendedAt.toISOString(), reason },
      });
    }
    return { workspace: await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }) };
  },
});

/** Ends a suspension. Resuming a workspace that is not suspended is not an error. @throws NotFoundError */
export const resumeWorkspace = defineCommand({
  name: 'resumeWorkspace',
  permission: 'workspace:suspend',
  scope: workspaceScope,
  audit: { done: 'workspace.resumed', refused: 'workspace.resume.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, audit }, _input: { readonly workspaceId: string }, { workspaceId }) {
    const before = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } });
    if (before.suspendedAt === null) return { workspace: before };
    const workspace = await tx.workspace.update({
      where: { id: workspaceId },
      data: { suspendedAt: null, suspensionReason: null },
    });
    audit({
      subjectId: workspaceId,
      before: { suspendedAt: before.suspendedAt.toISOString(), reason: before.suspensionReason },
      after: { suspendedAt: null, reason: null },
    });
    return { workspace };
  },
});
