import { transaction } from '../../db/transaction.js';
import type { Workspace } from '../../generated/prisma/client.js';
import { getAccess, lockWorkspace } from '../access/access.js';
import { parseName, parseReason } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { publishEvent } from '../events/publish.js';

export interface UpdateWorkspace {
  readonly workspaceId: string;
  readonly name: string;
}

/** Renames a workspace. @throws ValidationError, NotFoundError, ForbiddenError */
export async function updateWorkspace(
  deps: Deps,
  actor: Actor,
  input: UpdateWorkspace,
): Promise<{ workspace: Workspace }> {
  const name = parseName('input.name', input.name);
  return transaction(deps.db, async (tx) => {
    const { workspaceId } = await getAccess(tx, actor.principal, input.workspaceId, 'workspace:update');
    await lockWorkspace(tx, workspaceId);
    const before = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } });
    const workspace = await tx.workspace.update({ where: { id: workspaceId }, data: { name } });
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'workspace.updated',
      subjectId: workspaceId,
      before: { name: before.name },
      after: { name },
    });
    return { workspace };
  });
}

export interface SuspendWorkspace {
  readonly workspaceId: string;
  readonly reason?: string | null | undefined;
}

/** Refuses every key of a workspace from the next verification on. Suspending twice is not an error: the first time stands. @throws NotFoundError */
export async function suspendWorkspace(
  deps: Deps,
  actor: Actor,
  input: SuspendWorkspace,
): Promise<{ workspace: Workspace }> {
  const reason = parseReason('input.reason', input.reason);
  return transaction(deps.db, async (tx) => {
    const { workspaceId } = await getAccess(tx, actor.principal, input.workspaceId, 'workspace:suspend');
    const suspendedAt = deps.clock();
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
      await recordAudit(tx, actor, {
        workspaceId,
        action: 'workspace.suspended',
        subjectId: workspaceId,
        before: { suspendedAt: null, reason: null },
        after: { suspendedAt: suspendedAt.toISOString(), reason },
      });
    }
    return { workspace: await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }) };
  });
}

/** Ends a suspension. Resuming what is not suspended is not an error. @throws NotFoundError */
export async function resumeWorkspace(
  deps: Deps,
  actor: Actor,
  input: { readonly workspaceId: string },
): Promise<{ workspace: Workspace }> {
  return transaction(deps.db, async (tx) => {
    const { workspaceId } = await getAccess(tx, actor.principal, input.workspaceId, 'workspace:suspend');
    await lockWorkspace(tx, workspaceId);
    const before = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } });
    if (before.suspendedAt === null) return { workspace: before };
    const workspace = await tx.workspace.update({
      where: { id: workspaceId },
      data: { suspendedAt: null, suspensionReason: null },
    });
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'workspace.resumed',
      subjectId: workspaceId,
      before: { suspendedAt: before.suspendedAt.toISOString(), reason: before.suspensionReason },
      after: { suspendedAt: null, reason: null },
    });
    return { workspace };
  });
}
