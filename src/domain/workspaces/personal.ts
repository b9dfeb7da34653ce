import { newId } from '../../db/ids.js';
import { type Db, type Tx, transaction } from '../../db/transaction.js';
import { nameLengthMax } from '../access/input.js';
import { recordAudit, systemActor } from '../audit/record.js';

/**
 * Creates the PERSONAL workspace of a user if it does not exist. The unique index decides between concurrent
 * calls.
 */
export async function ensurePersonalWorkspace(db: Db, user: { id: string; name: string }): Promise<void> {
  if ((await findPersonalWorkspaceId(db, user.id)) !== null) return;
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

/** The id of a user's PERSONAL workspace. */
export async function findPersonalWorkspaceId(db: Db | Tx, userId: string): Promise<string | null> {
  const workspace = await db.workspace.findUnique({ where: { personalOwnerId: userId }, select: { id: true } });
  return workspace?.id ?? null;
}
