import { transaction } from '../../db/transaction.js';
import { ValidationError } from '../../errors.js';
import { getAccess } from '../access/access.js';
import { creditsMax } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';

export interface SetCreditsLowAt {
  readonly workspaceId: string;
  /** null: credits.low is never told. */
  readonly credits?: number | null | undefined;
}

/** Says at how many credits `credits.low` is told, from the next time that they fall to it. @throws ValidationError, NotFoundError, ForbiddenError */
export async function setCreditsLowAt(
  deps: Deps,
  actor: Actor,
  input: SetCreditsLowAt,
): Promise<{ workspaceId: string }> {
  const lowAt = input.credits ?? null;
  if (lowAt !== null && (lowAt < 0 || lowAt > creditsMax)) {
    throw new ValidationError('input.credits', `Credits must be a whole number from 0 to ${creditsMax}.`);
  }
  return transaction(deps.db, async (tx) => {
    const { workspaceId } = await getAccess(tx, actor.principal, input.workspaceId, 'webhook:manage');
    const before = await tx.creditAccount.findUnique({ where: { workspaceId }, select: { lowAt: true } });
    await tx.creditAccount.update({ where: { workspaceId }, data: { lowAt, lowSince: null } });
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'credits.lowAtSet',
      subjectId: workspaceId,
      before: { lowAt: before?.lowAt ?? null },
      after: { lowAt },
    });
    return { workspaceId };
  });
}
