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

type Stored<Fields> = { readonly [Name in keyof Fields]: Date extends Fields[Name] ? string | null : Fields[Name] };

/** As the SQL function `tollkeeper.key_record` writes it. */
export type StoredKey = KeyIds & Stored<SharedDetails> & Stored<OwnDetails>;

export function parseKey({ hash, secretId, id, workspaceId, ...stored }: StoredKey): KeyFields {
  return {
    hash,
    secretId,
    id,
    workspaceId,
    own: {
      keyId: stored.keyId,
      secretRetiresAt: parseTime(stored.secretRetiresAt),
      expiresAt: parseTime(stored.expiresAt),
    },
    shared: {
      product: stored.product,
      environment: stored.environment,
      permissions: stored.permissions,
      allowedOrigins: stored.allowedOrigins,
      spendLimit: stored.spendLimit,
      spendPeriod: stored.spendPeriod,
      disabledAt: parseTime(stored.disabledAt),
      revokedAt: parseTime(stored.revokedAt),
      deletedAt: parseTime(stored.deletedAt),
      workspaceSuspendedAt: parseTime(stored.workspaceSuspendedAt),
      features: stored.features,
    },
  };
}

function parseTime(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
