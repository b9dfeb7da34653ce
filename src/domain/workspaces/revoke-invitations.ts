import type { Tx } from '../../db/transaction.js';
import { type Invitation, type Member, Prisma } from '../../generated/prisma/client.js';
import type { CommandAudit, CommandContext } from '../commands/define-command.js';
import { isInState } from './invitation-state.js';
import { rolesToInvite } from './rank.js';

/**
 * Revokes the pending invitations that match a condition. Call it under the lock of the workspace.
 *
 * The hash of the token is replaced by a value that is no SHA-256: processes of the previous release do not
 * read `revokedAt`, and find the invitation by this hash only.
 * @returns the revoked invitations
 */
export function revokePending(tx: Tx, condition: Prisma.Sql, now: Date): Promise<Invitation[]> {
  return tx.$queryRaw<Invitation[]>`
    UPDATE "Invitation" SET "revokedAt" = ${now}::timestamptz, "tokenHash" = convert_to("id", 'UTF8')
    WHERE ${condition} AND ${isInState('PENDING', now)}
    RETURNING *`;
}

/** The audit event of a revoked invitation. */
export function auditOfRevocation({ id, email, role, revokedAt }: Invitation): CommandAudit {
  return {
    action: 'invitation.revoked',
    subjectId: id,
    before: { email, role, revokedAt: null },
    after: { email, role, revokedAt: revokedAt?.toISOString() ?? null },
  };
}

/**
 * Revokes the pending invitations that a member sent and can no longer send, because the role was lowered or
 * the permission to invite was withdrawn. Otherwise the member could return with the former role through a
 * second account. Call it under the lock of the workspace, after the change.
 */
export async function revokeInvitationsBeyond(context: CommandContext, member: Member): Promise<void> {
  const { workspaceId, userId } = member;
  const condition = Prisma.sql`
    "workspaceId" = ${workspaceId} AND "invitedById" = ${userId} AND "role"::text <> ALL (${rolesToInvite(member)}::text[])`;
  await revokeAndAudit(context, condition);
}

/**
 * Revokes the pending invitations by and to a member who was removed. An invitation to a member's address is
 * older than the membership. Call it under the lock of the workspace.
 */
export async function revokeInvitationsOfRemoved(
  context: CommandContext,
  { workspaceId, userId }: Member,
): Promise<void> {
  const condition = Prisma.sql`
    "workspaceId" = ${workspaceId}
    AND ("invitedById" = ${userId} OR "email" = (SELECT lower(u."email") FROM "User" u WHERE u."id" = ${userId}))`;
  await revokeAndAudit(context, condition);
}

async function revokeAndAudit({ tx, clock, audit }: CommandContext, condition: Prisma.Sql): Promise<void> {
  for (const invitation of await revokePending(tx, condition, clock())) audit(auditOfRevocation(invitation));
}
