import { newId } from '../../db/ids.js';
import { transaction } from '../../db/transaction.js';
import { ConflictError, ForbiddenError, LimitReachedError, NotFoundError } from '../../errors.js';
import type { Invitation, Member } from '../../generated/prisma/client.js';
import type { Role } from '../../generated/prisma/enums.js';
import { getAccess, lockWorkspace } from '../access/access.js';
import { parseEmail } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { generateToken, hashSecret } from '../access/secret-hash.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { requireRank } from './rank.js';

const invitationLifetimeMs = 7 * 24 * 60 * 60 * 1000;
const openInvitationsMax = 100;
const membersMax = 1_000;

export interface InviteMember {
  readonly workspaceId: string;
  readonly email: string;
  readonly role: Role;
}

/**
 * Invites an address to an organization for seven days. The token is returned once; this server sends no mail.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for a member or a personal workspace, LimitReachedError
 */
export async function inviteMember(
  deps: Deps,
  actor: Actor,
  input: InviteMember,
): Promise<{ invitation: Invitation; token: string }> {
  const email = parseEmail('input.email', input.email);
  return transaction(deps.db, async (tx) => {
    const access = await getAccess(tx, actor.principal, input.workspaceId, 'member:invite');
    const { workspaceId } = access;
    requireRank(access, input.role, 'member:invite');
    if (access.workspaceKind === 'PERSONAL') {
      throw new ConflictError('A personal workspace has one member. Create an organization to work with others.');
    }
    await lockWorkspace(tx, workspaceId);
    const now = deps.clock();
    if ((await tx.member.count({ where: { workspaceId, user: { email } } })) > 0) {
      throw new ConflictError('This person is a member already.');
    }
    const open = await tx.invitation.count({ where: { workspaceId, acceptedAt: null, expiresAt: { gt: now } } });
    if (open >= openInvitationsMax) {
      throw new LimitReachedError(openInvitationsMax, `A workspace can have ${openInvitationsMax} open invitations.`);
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
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'member.invited',
      subjectId: invitation.id,
      after: { email, role: input.role, expiresAt: invitation.expiresAt.toISOString() },
    });
    return { invitation, token };
  });
}

/**
 * Joins the workspace of an invitation. The token counts once, for whoever signed in with the invited address.
 * Unknown, used, expired and somebody else's look the same.
 * @throws NotFoundError, ConflictError for a member, LimitReachedError
 */
export async function acceptInvitation(
  deps: Deps,
  actor: Actor,
  input: { readonly token: string },
): Promise<{ member: Member }> {
  const { principal } = actor;
  if (principal.kind !== 'user') throw new ForbiddenError('member:join');
  const tokenHash = hashSecret(input.token);
  return transaction(deps.db, async (tx) => {
    const now = deps.clock();
    const { count } = await tx.invitation.updateMany({
      where: { tokenHash, email: principal.email.toLowerCase(), acceptedAt: null, expiresAt: { gt: now } },
      data: { acceptedAt: now },
    });
    if (count === 0) throw new NotFoundError('input.token', 'Invitation not found.');
    const { id, workspaceId, role } = await tx.invitation.findUniqueOrThrow({ where: { tokenHash } });
    await lockWorkspace(tx, workspaceId);
    const members = await tx.member.count({ where: { workspaceId } });
    if (members >= membersMax) throw new LimitReachedError(membersMax, `A workspace can have ${membersMax} members.`);
    if ((await tx.member.count({ where: { workspaceId, userId: principal.userId } })) > 0) {
      throw new ConflictError('You are a member already.');
    }
    const member = await tx.member.create({
      data: { id: newId('member'), workspaceId, userId: principal.userId, role, createdAt: now },
    });
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'member.joined',
      subjectId: member.id,
      after: { userId: principal.userId, role, permissions: [], invitationId: id },
    });
    return { member };
  });
}
