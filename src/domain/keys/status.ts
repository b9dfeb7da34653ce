import type { ApiKey, Prisma } from '../../generated/prisma/client.js';

/** The status of a key. Permanent states take precedence. */
export type ApiKeyStatus = 'ACTIVE' | 'DISABLED' | 'EXPIRED' | 'REVOKED';

export type ApiKeyTimes = Pick<ApiKey, 'revokedAt' | 'deletedAt' | 'expiresAt' | 'disabledAt'>;

/** The status of a key at a time. */
export function decideStatus(key: ApiKeyTimes, now: Date): ApiKeyStatus {
  if (key.revokedAt !== null || key.deletedAt !== null) return 'REVOKED';
  if (key.expiresAt !== null && key.expiresAt <= now) return 'EXPIRED';
  if (key.disabledAt !== null) return 'DISABLED';
  return 'ACTIVE';
}

/** The keys with a status at a time, as a filter that agrees with {@link decideStatus}. */
export function hasStatus(status: ApiKeyStatus, now: Date): Prisma.ApiKeyWhereInput {
  const unexpired: Prisma.ApiKeyWhereInput = { OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] };
  switch (status) {
    case 'REVOKED':
      return { OR: [{ revokedAt: { not: null } }, { deletedAt: { not: null } }] };
    case 'EXPIRED':
      return { revokedAt: null, deletedAt: null, expiresAt: { lte: now } };
    case 'DISABLED':
      return { revokedAt: null, deletedAt: null, disabledAt: { not: null }, ...unexpired };
    case 'ACTIVE':
      return { revokedAt: null, deletedAt: null, disabledAt: null, ...unexpired };
  }
}
