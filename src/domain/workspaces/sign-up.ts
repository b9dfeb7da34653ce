import type { Db } from '../../db/transaction.js';
import { SignUpRefusedError } from '../../errors.js';
import type { SignUpMode } from '../../settings.js';
import { isPending } from './invitation-state.js';

/**
 * Refuses an address that may not sign up with a password. `invited` admits an address with an open
 * invitation, `closed` none.
 * @param email in lower case
 * @throws SignUpRefusedError
 */
export async function requireSignUpAllowed(db: Db, mode: SignUpMode, email: string, now: Date): Promise<void> {
  if (mode === 'open') return;
  if (mode === 'closed') {
    throw new SignUpRefusedError(
      'SIGN_UP_CLOSED',
      'Sign-up is closed on this server. Ask its operator for an account.',
    );
  }
  const invitation = await db.invitation.findFirst({
    where: { email, ...isPending(now) },
    select: { id: true },
  });
  if (invitation !== null) return;
  throw new SignUpRefusedError(
    'INVITATION_REQUIRED',
    'Only invited addresses can sign up. Ask the owner of a workspace to invite this e-mail address.',
  );
}
