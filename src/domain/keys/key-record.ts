import type { Environment, SpendPeriod } from '../../generated/prisma/enums.js';

/** What keys have in common more often than not. */
export interface SharedDetails {
  readonly product: string;
  readonly environment: Environment;
  readonly permissions: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** The most credits that the key spends in a period; both null without a limit. */
  readonly spendLimit: number | null;
  readonly spendPeriod: SpendPeriod | null;
  readonly disabledAt: Date | null;
  readonly revokedAt: Date | null;
  readonly deletedAt: Date | null;
  readonly workspaceSuspendedAt: Date | null;
  /** Features of the key's product that are on for its workspace. */
  readonly features: readonly string[];
}

/** What differs from key to key where a key has it at all. */
export interface OwnDetails {
  /** The public half of a header pair; null for bearer keys. */
  readonly keyId: string | null;
  readonly secretRetiresAt: Date | null;
  readonly expiresAt: Date | null;
}

interface KeyIds {
  /** SHA-256 of the secret by which the key was found, in hex. */
  readonly hash: string;
  readonly secretId: string;
  readonly id: string;
  readonly workspaceId: string;
}

/** All that a verification needs to know about one key, as the key cache returns it. */
export interface KeyRecord extends KeyIds, SharedDetails, OwnDetails {
  /** Where the cache holds the key. */
  readonly slot: number;
  /** Of the slot when the record was read: it changes when the slot is emptied or filled. */
  readonly version: number;
}

/** The same as the database returns it, sorted by what keys share. */
export interface KeyFields extends KeyIds {
  readonly shared: SharedDetails;
  readonly own: OwnDetails;
}

/** As `tollkeeper.refresh_keys()` writes it. */
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

/** @param text null where no key was found */
export function parseRecords(text: string | null): KeyFields[] {
  return text === null ? [] : (JSON.parse(text) as StoredRecord[]).map(parseRecord);
}

function parseRecord(stored: StoredRecord): KeyFields {
  return {
    hash: stored[0],
    secretId: stored[1],
    id: stored[3],
    workspaceId: stored[4],
    own: { keyId: stored[7], secretRetiresAt: parseTime(stored[2]), expiresAt: parseTime(stored[13]) },
    shared: {
      product: stored[5],
      environment: stored[6],
      permissions: stored[8],
      allowedOrigins: stored[9],
      spendLimit: stored[10],
      spendPeriod: stored[11],
      disabledAt: parseTime(stored[12]),
      revokedAt: parseTime(stored[14]),
      deletedAt: parseTime(stored[15]),
      workspaceSuspendedAt: parseTime(stored[16]),
      features: stored[17],
    },
  };
}

function parseTime(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
