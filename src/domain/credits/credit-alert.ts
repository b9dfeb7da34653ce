import { ValidationError } from '../../errors.js';
import { creditsMax } from '../access/input.js';
import { defineCommand } from '../commands/define-command.js';
import { accountScope } from '../ledger/grant.js';

export interface SetCreditsLowAtInput {
  readonly workspaceId: string;
  /** null: `credits.low` is never published. */
  readonly credits?: number | null | undefined;
}

/**
 * Sets the number of available credits at which `credits.low` is published.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export const setCreditsLowAt = defineCommand({
  name: 'setCreditsLowAt',
  permission: 'webhook:manage',
  scope: accountScope,
  audit: { done: 'credits.lowAtSet', refused: 'creditsLowAt.set.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, audit }, input: SetCreditsLowAtInput, { workspaceId }) {
    const lowAt = input.credits ?? null;
    if (lowAt !== null && (lowAt < 0 || lowAt > creditsMax)) {
      throw new ValidationError('credits', `Credits must be a whole number from 0 to ${creditsMax}.`);
    }
    const before = await tx.creditAccount.findUnique({ where: { workspaceId }, select: { lowAt: true } });
    await tx.creditAccount.update({ where: { workspaceId }, data: { lowAt, lowSince: null } });
    audit({ subjectId: workspaceId, before: { lowAt: before?.lowAt ?? null }, after: { lowAt } });
    return { workspaceId };
  },
});
