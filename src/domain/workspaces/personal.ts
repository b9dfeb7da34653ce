import { newId } from '../../db/ids.js';
import { transaction } from '../../db/transaction.js';
import { nameLengthMax } from '../access/input.js';
import { recordAudit, systemActor } from '../audit/record.js';
import type { Deps } from '../deps.js';

/** Makes sure that a person has a PERSONAL workspace, and is its owner. The unique index decides between concurrent calls. */
export async function ensurePersonalWorkspace(
  { db }: Pick<Deps, 'db'>,
  user: { id: string; name: string },
): Promise<void> {
  if ((await findPersonalWorkspaceId({ db }, user.id)) !== null) return;
  await transaction(db, async (tx) => {
    const workspaceId = newId('workspace');
    const name = [...(user.name.trim() || 'Personal')].slice(0, nameLengthMax).join('');
    const { count } = await tx.workspace.createMany({
      data: [{ id: workspaceId, kind: 'PERSONAL', name, personalOwnerId: user.id }],
      skipDuplicates: true,
    });
    if (count === 0) return;
    await tx.member.create({ data: { id: newId('member'), workspaceId, userId: user.id, role: 'OWNER' } });
    await tx.creditAccount.create({ data: { workspaceId } });
    await recordAudit(tx, systemActor, {
      workspaceId,
      action: 'workspace.created',
      subjectId: workspaceId,
      after: { kind: 'PERSONAL', name, ownerUserId: user.id },
    });
  });
}

/** The id of a person's PERSONAL workspace. */
export async function findPersonalWorkspaceId({ db }: Pick<Deps, 'db'>, userId: string): Promise<string | null> {
  const workspace = await db.workspace.findUnique({ where: { personalOwnerId: userId }, select: { id: true } });
  return workspace?.id ?? null;
}
