import type { Environment, SpendPeriod } from '../../generated/prisma/enums.js';

/** All that a verification asks of the database about one key. */
export interface KeyRecord {
  /** SHA-256 of the secret by which it was found, in hex. */
  readonly hash: string;
  readonly secretId: string;
  readonly secretRetiresAt: Date | null;
  readonly id: string;
  readonly workspaceId: string;
  readonly product: string;
  readonly environment: Environment;
  readonly keyId: string | null;
  readonly permissions: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** The most credits that it spends in a period; both null without a limit. */
  readonly spendLimit: number | null;
  readonly spendPeriod: SpendPeriod | null;
  readonly disabledAt: Date | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly deletedAt: Date | null;
  readonly workspaceSuspendedAt: Date | null;
  /** Features of the key's product that are on for its workspace. */
  readonly features: readonly string[];
}

/** As `tollkeeper_look()` writes it. */
type StoredRecord = [
  hash: string,
  secretId: string,
  secretRetiresAt: string | null,
  id: string,
  workspaceId: string,
  product: string,
  environment: Environment,
  keyId: string | null,
  permissions: string[],
  allowedOrigins: string[],
  spendLimit: number | null,
  spendPeriod: SpendPeriod | null,
  disabledAt: string | null,
  expiresAt: string | null,
  revokedAt: string | null,
  deletedAt: string | null,
  workspaceSuspendedAt: string | null,
  features: string[],
];

/** @param text null where none was found */
export function parseRecords(text: string | null): KeyRecord[] {
  return text === null ? [] : (JSON.parse(text) as StoredRecord[]).map(parseRecord);
}

function parseRecord(stored: StoredRecord): KeyRecord {
  return {
    hash: stored[0],
    secretId: stored[1],
    secretRetiresAt: parseTime(stored[2]),
    id: stored[3],
    workspaceId: stored[4],
    product: stored[5],
    environment: stored[6],
    keyId: stored[7],
    permissions: stored[8],
    allowedOrigins: stored[9],
    spendLimit: stored[10],
    spendPeriod: stored[11],
    disabledAt: parseTime(stored[12]),
    expiresAt: parseTime(stored[13]),
    revokedAt: parseTime(stored[14]),
    deletedAt: parseTime(stored[15]),
    workspaceSuspendedAt: parseTime(stored[16]),
    features: stored[17],
  };
}

function parseTime(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
