import { timingSafeEqual } from 'node:crypto';
import type { Db, Tx } from '../../db/transaction.js';
import type { Environment } from '../../generated/prisma/enums.js';
import { equalInConstantTime } from '../secret-hash.js';
import type { Presented } from './presented.js';

/** All that a verification asks of the database about one key. */
export interface KeyRecord {
  readonly secretId: string;
  readonly hash: Uint8Array;
  readonly secretRetiresAt: Date | null;
  readonly id: string;
  readonly workspaceId: string;
  readonly product: string;
  readonly environment: Environment;
  readonly keyId: string | null;
  readonly permissions: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly disabledAt: Date | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly deletedAt: Date | null;
  readonly workspaceSuspendedAt: Date | null;
  /** Features of the key's product that are on for its workspace. */
  readonly features: readonly string[];
}

/**
 * The key of a credential, or null. The look-up goes by the secret's hash in every case, so an unknown key id costs what a known one
 * costs, and what is compared afterwards is compared in constant time.
 */
export async function findKeyRecord(
  db: Db | Tx,
  presented: Extract<Presented, { kind: 'candidate' }>,
): Promise<KeyRecord | null> {
  const [record] = await db.$queryRaw<KeyRecord[]>`
    SELECT s."id" AS "secretId", s."hash", s."retiresAt" AS "secretRetiresAt",
      k."id", k."workspaceId", k."product", k."environment"::text AS "environment", k."keyId", k."permissions",
      k."allowedOrigins", k."disabledAt", k."expiresAt", k."revokedAt", k."deletedAt",
      w."suspendedAt" AS "workspaceSuspendedAt",
      ARRAY(
        SELECT f."feature" FROM "WorkspaceFeature" f WHERE f."workspaceId" = k."workspaceId" AND f."product" = k."product"
      ) AS "features"
    FROM "KeySecret" s
    JOIN "ApiKey" k ON k."id" = s."apiKeyId" AND k."workspaceId" = s."workspaceId"
    JOIN "Workspace" w ON w."id" = k."workspaceId"
    WHERE s."hash" = ${presented.hash}`;
  const keyIdMatches = equalInConstantTime(record?.keyId ?? '', presented.keyId ?? '');
  if (record === undefined || !timingSafeEqual(record.hash, presented.hash) || !keyIdMatches) return null;
  return record;
}
