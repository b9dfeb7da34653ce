import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import { ConflictError, LimitReachedError } from '../../errors.js';
import { type Invitation, Prisma } from '../../generated/prisma/client.js';
import type { Role } from '../../generated/prisma/enums.js';
import { lockWorkspace } from '../access/access.js';
import { parseEmail } from '../access/input.js';
import { generateToken, hashSecret } from '../access/secret-hash.js';
import { defineCommand } from '../commands/define-command.js';
import { decideInvitationState, isPending } from './invitation-state.js';
import { rolesToInvite } from './rank.js';
import { auditOfRevocation, revokePending } from './revoke-invitations.js';
import { invitationNotFound, invitationScope, inviterScope, personScope } from './scopes.js';

const invitationLifetimeMs = 7 * 24 * 60 * 60 * 1000;
/** Maximum number of open invitations that one user sent, over all workspaces. */
const openPerInviterMax = 20;
const openPerWorkspaceMax = 100;
const membersMax = 1_000;

export interface InviteMemberInput {
  readonly workspaceId: string;
  readonly email: string;
  readonly role: Role;
}

/**
 * Invites an e-mail address to an organization for seven days. The token is returned once.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for a member or a PERSONAL
 * workspace, LimitReachedError
 */
export const inviteMember = defineCommand({
  name: 'inviteMember',
  permission: 'member:invite',
  scope: inviterScope,
  audit: { done: 'member.invited', refused: 'member.invite.refused' },
  shownOnce: { of: 'invitation', fields: ['token'] },
  throttled: true,
  async run({ tx, actor, clock, audit }, input: InviteMemberInput, { workspaceId, workspaceKind }) {
    const email = parseEmail('email', input.email);
    if (workspaceKind === 'PERSONAL') {
      throw new ConflictError('A personal workspace has one member. Create an organization to work with others.');
    }
    const now = clock();
    const invitedById = actor.principal.kind === 'user' ? actor.principal.userId : null;
    if ((await tx.member.count({ where: { workspaceId, user: { email } } })) > 0) {
      throw new ConflictError('This person is already a member.');
    }
    await requireOpenInvitationsBelowMax(tx, workspaceId, invitedById, now);
    const token = generateToken('tki_');
    const invitation = await tx.invitation.create({
      data: {
        id: newId('invitation'),
        workspaceId,
        email,
        role: input.role,
        tokenHash: hashSecret(token),
        invitedById,
        createdAt: now,
        expiresAt: new Date(now.getTime() + invitationLifetimeMs),
      },
    });
    audit({
      subjectId: invitation.id,
      after: { email, role: input.role, expiresAt: invitation.expiresAt.toISOString() },
    });
    return { invitation, token };
  },
});

/**
 * Decides under the lock of the workspace and of the inviter, who may invite to several workspaces at once.
 * Services have no limit of their own.
 * @throws LimitReachedError
 */
async function requireOpenInvitationsBelowMax(
  tx: Tx,
  workspaceId: string,
  invitedById: string | null,
  now: Date,
): Promise<void> {
  const open = await tx.invitation.count({ where: { workspaceId, ...isPending(now) } });
  if (open >= openPerWorkspaceMax) {
    throw new LimitReachedError(
      openPerWorkspaceMax,
      `A workspace can have at most ${openPerWorkspaceMax} open invitations. Revoke one, or wait until one is accepted or expires.`,
    );
  }
  if (invitedById === null) return;
  // A weaker lock than FOR UPDATE, which would block new rows that refer to the user.
  await tx.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${invitedById} FOR NO KEY UPDATE`;
  const openOfInviter = await tx.invitation.count({ where: { invitedById, ...isPending(now) } });
  if (openOfInviter >= openPerInviterMax) {
    throw new LimitReachedError(
      openPerInviterMax,
      `A person can have sent at most ${openPerInviterMax} open invitations. Revoke one, or wait until one is accepted or expires.`,
    );
  }
}

/**
 * Revokes an invitation: its token is refused like an unknown one. Revoking it again is not an error; the
 * first revocation counts.
 * @throws NotFoundError, ForbiddenError, ConflictError for an accepted or expired invitation
 */
export const revokeInvitation = defineCommand({
  name: 'revokeInvitation',
  permission: 'member:invite',
  scope: invitationScope,
  audit: { done: 'invitation.revoked', refused: 'invitation.revoke.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, _input: { readonly invitationId: string }, invitation) {
    const now = clock();
    const state = decideInvitationState(invitation, now);
    if (state === 'REVOKED') return { invitation };
    if (state === 'EXPIRED') throw new ConflictError('The invitation has expired. It can no longer be accepted.');
    const [revoked] = await revokePending(tx, Prisma.sql`"id" = ${invitation.id}`, now);
    if (revoked === undefined) throw new ConflictError('The invitation was accepted. Remove the member instead.');
    audit(auditOfRevocation(revoked));
    return { invitation: revoked };
  },
});

/**
 * Joins the workspace of an invitation. The token is valid once, for a user with the invited e-mail address.
 * Unknown, used, expired and revoked tokens and tokens for another address are refused with the same error.
 * @throws NotFoundError, ConflictError for a member, LimitReachedError
 */
export const acceptInvitation = defineCommand({
  name: 'acceptInvitation',
  permission: 'member:join',
  scope: personScope,
  audit: { done: 'member.joined', refused: 'invitation.accept.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, input: { readonly token: string }, { userId, email }) {
    const tokenHash = hashSecret(input.token);
    const invitation = await tx.invitation.findUnique({ where: { tokenHash } });
    // Decided before the lock, so that strangers cannot hold it.
    if (invitation === null || invitation.email !== email?.toLowerCase()) throw invitationNotFound('token');
    const { id, workspaceId, role } = invitation;
    // A concurrent revocation, or removal of the inviter, comes first or waits.
    await lockWorkspace(tx, workspaceId);
    const now = clock();
    if (!(await canStillBeSent(tx, invitation))) throw invitationNotFound('token');
    const { count } = await tx.invitation.updateMany({
      where: { tokenHash, ...isPending(now) },
      data: { acceptedAt: now },
    });
    if (count === 0) throw invitationNotFound('token');
    const members = await tx.member.count({ where: { workspaceId } });
    if (members >= membersMax) {
      throw new LimitReachedError(membersMax, `A workspace can have at most ${membersMax} members. Remove one first.`);
    }
    if ((await tx.member.count({ where: { workspaceId, userId } })) > 0) {
      throw new ConflictError('You are already a member.');
    }
    const member = await tx.member.create({
      data: { id: newId('member'), workspaceId, userId, role, createdAt: now },
    });
    audit({ workspaceId, subjectId: member.id, after: { userId, role, permissions: [], invitationId: id } });
    return { member };
  },
});

/**
 * Whether the inviter can still send an invitation. A change of a member revokes what they can no longer
 * send, but processes of the previous release do not.
 */
async function canStillBeSent(tx: Tx, { workspaceId, invitedById, role }: Invitation): Promise<boolean> {
  if (invitedById === null) return true;
  const inviter = await tx.member.findUnique({
    where: { workspaceId_userId: { workspaceId, userId: invitedById } },
    select: { role: true, permissions: true },
  });
  return inviter !== null && rolesToInvite(inviter).includes(role);
}
