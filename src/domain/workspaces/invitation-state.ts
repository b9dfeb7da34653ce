import { type Invitation, Prisma } from '../../generated/prisma/client.js';

/** The state of an invitation. Only a PENDING one can be accepted. */
export type InvitationState = 'PENDING' | 'ACCEPTED' | 'EXPIRED' | 'REVOKED';

/** The state of an invitation at a time. ACCEPTED and REVOKED are permanent. */
export function decideInvitationState(
  { acceptedAt, revokedAt, expiresAt }: Pick<Invitation, 'acceptedAt' | 'revokedAt' | 'expiresAt'>,
  now: Date,
): InvitationState {
  if (acceptedAt !== null) return 'ACCEPTED';
  if (revokedAt !== null) return 'REVOKED';
  return expiresAt <= now ? 'EXPIRED' : 'PENDING';
}

/** The invitations that are PENDING at a time, as a filter that agrees with {@link decideInvitationState}. */
export function isPending(now: Date) {
  return { acceptedAt: null, revokedAt: null, expiresAt: { gt: now } };
}

/**
 * The invitations in a state at a time, as an SQL condition that agrees with {@link decideInvitationState}.
 */
export function isInState(state: InvitationState, now: Date): Prisma.Sql {
  switch (state) {
    case 'ACCEPTED':
      return Prisma.sql`"acceptedAt" IS NOT NULL`;
    case 'REVOKED':
      return Prisma.sql`"acceptedAt" IS NULL AND "revokedAt" IS NOT NULL`;
    case 'EXPIRED':
      return Prisma.sql`"acceptedAt" IS NULL AND "revokedAt" IS NULL AND "expiresAt" <= ${now}::timestamptz`;
    case 'PENDING':
      return Prisma.sql`"acceptedAt" IS NULL AND "revokedAt" IS NULL AND "expiresAt" > ${now}::timestamptz`;
  }
}
