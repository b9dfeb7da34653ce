import { timingSafeEqual } from 'node:crypto';
import type { RunStatement, Statement } from '../../db/database.js';
import type { Environment } from '../../generated/prisma/enums.js';
import { equalInConstantTime } from '../secret-hash.js';
import { createFlushLoader } from './flush-loader.js';
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

const findKeys: Statement = {
  name: 'find-keys',
  text: `
    SELECT i.n::int AS "n", s."id" AS "secretId", s."hash", s."retiresAt" AS "secretRetiresAt",
      k."id", k."workspaceId", k."product", k."environment"::text AS "environment", k."keyId", k."permissions",
      k."allowedOrigins", k."disabledAt", k."expiresAt", k."revokedAt", k."deletedAt",
      w."suspendedAt" AS "workspaceSuspendedAt",
      ARRAY(
        SELECT f."feature" FROM "WorkspaceFeature" f WHERE f."workspaceId" = k."workspaceId" AND f."product" = k."product"
      ) AS "features"
    FROM unnest($1::text[]) WITH ORDINALITY AS i(hash, n)
    JOIN "KeySecret" s ON s."hash" = decode(i.hash, 'hex')
    JOIN "ApiKey" k ON k."id" = s."apiKeyId" AND k."workspaceId" = s."workspaceId"
    JOIN "Workspace" w ON w."id" = k."workspaceId"`,
};

type Candidate = Extract<Presented, { kind: 'candidate' }>;

export type FindKeyRecord = (presented: Candidate) => Promise<KeyRecord | null>;

/**
 * Finds the key of a credential, or null; look-ups that arrive together share a statement. It goes by the secret's hash in every case,
 * so an unknown key id costs what a known one costs, and what is compared afterwards is compared in constant time.
 */
export function createKeyFinder(run: RunStatement): FindKeyRecord {
  return createFlushLoader<Candidate, KeyRecord | null>(async (candidates) => {
    const hashes = candidates.map(({ hash }) => Buffer.from(hash).toString('hex'));
    const found = await run<KeyRecord & { n: number }>(findKeys, [hashes]);
    const records = new Map(found.map((record) => [record.n, record]));
    return candidates.map((candidate, index) => confirm(candidate, records.get(index + 1)));
  });
}

function confirm(candidate: Candidate, record: KeyRecord | undefined): KeyRecord | null {
  const keyIdMatches = equalInConstantTime(record?.keyId ?? '', candidate.keyId ?? '');
  if (record === undefined || !timingSafeEqual(record.hash, candidate.hash) || !keyIdMatches) return null;
  return record;
}
