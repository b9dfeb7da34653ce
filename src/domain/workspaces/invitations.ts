import { newId } from '../../db/ids.js';
import { ConflictError, LimitReachedError, NotFoundError } from '../../errors.js';
import type { Role } from '../../generated/prisma/enums.js';
import { lockWorkspace } from '../access/access.js';
import { parseEmail } from '../access/input.js';
import { generateToken, hashSecret } from '../access/secret-hash.js';
import { defineCommand } from '../commands/define-command.js';
import { inviterScope, personScope } from './scopes.js';

const invitationLifetimeMs = 7 * 24 * 60 * 60 * 1000;
const openInvitationsMax = 100;
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
    if ((await tx.member.count({ where: { workspaceId, user: { email } } })) > 0) {
      throw new ConflictError('This person is already a member.');
    }
    const open = await tx.invitation.count({ where: { workspaceId, acceptedAt: null, expiresAt: { gt: now } } });
    if (open >= openInvitationsMax) {
      throw new LimitReachedError(
        openInvitationsMax,
        `A workspace can have at most ${openInvitationsMax} open invitations. Wait until one is accepted or expires.`,
      );
    }
    const token = generateToken('tki_');
    const invitation = await tx.invitation.create({
      data: {
        id: newId('invitation'),
        workspaceId,
        email,
        role: input.role,
        tokenHash: hashSecret(token),
        invitedById: actor.principal.kind === 'user' ? actor.principal.userId : null,
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
 * Joins the workspace of an invitation. The token is valid once, for a user with the invited e-mail address.
 * Unknown, used and expired tokens and tokens for another address are refused with the same error.
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
    const now = clock();
    const { count } = await tx.invitation.updateMany({
      where: { tokenHash, email: email.toLowerCase(), acceptedAt: null, expiresAt: { gt: now } },
      data: { acceptedAt: now },
    });
    if (count === 0) throw new NotFoundError('token', 'Invitation not found.');
    const { id, workspaceId, role } = await tx.invitation.findUniqueOrThrow({ where: { tokenHash } });
    await lockWorkspace(tx, workspaceId);
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
