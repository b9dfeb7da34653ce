import { LRUCache } from 'lru-cache';
import type { RunStatement, Statement } from '../../db/database.js';
import type { Environment } from '../../generated/prisma/enums.js';
import { equalInConstantTime } from '../secret-hash.js';
import { createFlushLoader } from './flush-loader.js';
import type { Presented } from './presented.js';

/** All that a verification asks of the database about one key. */
export interface KeyRecord {
  readonly secretId: string;
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

/** One text per key: what all its columns say now. Most say what they said the last time, and a text is quickly compared. */
const findKeys: Statement = {
  name: 'find-keys',
  text: `
    SELECT i.n::int AS "n", json_build_array(
      s."id", s."retiresAt", k."id", k."workspaceId", k."product", k."environment", k."keyId", k."permissions",
      k."allowedOrigins", k."disabledAt", k."expiresAt", k."revokedAt", k."deletedAt", w."suspendedAt",
      ARRAY(
        SELECT f."feature" FROM "WorkspaceFeature" f WHERE f."workspaceId" = k."workspaceId" AND f."product" = k."product"
      )
    )::text AS "record"
    FROM unnest(string_to_array($1::text, ',')) WITH ORDINALITY AS i(hash, n)
    JOIN "KeySecret" s ON s."hash" = decode(i.hash, 'hex')
    JOIN "ApiKey" k ON k."id" = s."apiKeyId" AND k."workspaceId" = s."workspaceId"
    JOIN "Workspace" w ON w."id" = k."workspaceId"`,
};

/** How many keys are kept as they were read last, some 2 KB each, so that only what has changed is read anew. */
const readMax = 20_000;

type Candidate = Extract<Presented, { kind: 'candidate' }>;

export type FindKeyRecord = (presented: Candidate) => Promise<KeyRecord | null>;

/**
 * Finds the key of a credential, or null; look-ups that arrive together share a statement. The database is asked every time, so that
 * a revocation is seen at once. It goes by the secret's hash in every case, so an unknown key id costs what a known one costs.
 */
export function createKeyFinder(run: RunStatement): FindKeyRecord {
  const read = new LRUCache<string, { readonly text: string; readonly record: KeyRecord }>({ max: readMax });

  const recordOf = (hash: string, text: string): KeyRecord => {
    const known = read.get(hash);
    if (known?.text === text) return known.record;
    const record = parseRecord(text);
    read.set(hash, { text, record });
    return record;
  };

  return createFlushLoader<Candidate, KeyRecord | null>(async (candidates) => {
    const found = await run<{ n: number; record: string }>(findKeys, [candidates.map(({ hash }) => hash).join(',')]);
    const records = new Array<KeyRecord | null>(candidates.length).fill(null);
    for (const { n, record } of found) {
      const candidate = candidates[n - 1];
      if (candidate !== undefined) records[n - 1] = confirm(candidate, recordOf(candidate.hash, record));
    }
    return records;
  });
}

function confirm({ keyId }: Candidate, record: KeyRecord): KeyRecord | null {
  if (keyId === null && record.keyId === null) return record;
  return equalInConstantTime(record.keyId ?? '', keyId ?? '') ? record : null;
}

/** The columns of {@link findKeys} in their order. */
type StoredRecord = [
  secretId: string,
  secretRetiresAt: string | null,
  id: string,
  workspaceId: string,
  product: string,
  environment: Environment,
  keyId: string | null,
  permissions: string[],
  allowedOrigins: string[],
  disabledAt: string | null,
  expiresAt: string | null,
  revokedAt: string | null,
  deletedAt: string | null,
  workspaceSuspendedAt: string | null,
  features: string[],
];

function parseRecord(text: string): KeyRecord {
  const [
    secretId,
    secretRetiresAt,
    id,
    workspaceId,
    product,
    environment,
    keyId,
    permissions,
    allowedOrigins,
    disabledAt,
    expiresAt,
    revokedAt,
    deletedAt,
    workspaceSuspendedAt,
    features,
  ] = JSON.parse(text) as StoredRecord;
  return {
    secretId,
    secretRetiresAt: parseTime(secretRetiresAt),
    id,
    workspaceId,
    product,
    environment,
    keyId,
    permissions,
    allowedOrigins,
    disabledAt: parseTime(disabledAt),
    expiresAt: parseTime(expiresAt),
    revokedAt: parseTime(revokedAt),
    deletedAt: parseTime(deletedAt),
    workspaceSuspendedAt: parseTime(workspaceSuspendedAt),
    features,
  };
}

function parseTime(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
