import { hkdfSync } from 'node:crypto';
import { type Cipher, createCipher } from '../access/cipher.js';

/** Which record the secrets belong to: they open under no other. */
export interface SecretsOwner {
  readonly workspaceId: string;
  readonly operation: string;
}

/** Versions 4 and 7 of RFC 9562 hold 122 and 74 random bits; what the other versions hold can be guessed. */
const randomUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * Encrypts what a result shows once under a key that only the client can derive again: HKDF-SHA-256 of its idempotency key, of which
 * only a hash is stored. @returns null where the key is one that could be guessed.
 */
export function sealSecrets(
  key: string,
  owner: SecretsOwner,
  secrets: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> | null {
  if (!randomUuid.test(key)) return null;
  return cipherOf(key, owner).seal(JSON.stringify(secrets), contextOf(owner));
}

/** @throws Error where the ciphertext is not that of this key and this record */
export function openSecrets(key: string, owner: SecretsOwner, ciphertext: Uint8Array): Record<string, string> {
  return JSON.parse(cipherOf(key, owner).open(ciphertext, contextOf(owner)));
}

function cipherOf(key: string, { workspaceId, operation }: SecretsOwner): Cipher {
  const info = `tollkeeper: secrets of ${operation}`;
  return createCipher(new Uint8Array(hkdfSync('sha256', key, workspaceId, info, 32)));
}

function contextOf({ workspaceId, operation }: SecretsOwner): string {
  return `${workspaceId} ${operation}`;
}
