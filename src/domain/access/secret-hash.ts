import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** SHA-256 of a secret: all that is stored of it. */
export function hashSecret(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hash('sha256', secret, 'buffer'));
}

/** The same in hex, for those who want no bytes. */
export function hashSecretHex(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** Compares two texts of any length without telling by its duration where they differ. */
export function equalInConstantTime(one: string, other: string): boolean {
  return timingSafeEqual(hashSecret(one), hashSecret(other));
}

/** What is shown of a secret after its creation: its last four characters. */
export function previewSecret(secret: string): string {
  return secret.slice(-4);
}

/** A token of this server's own: a prefix and 32 random bytes in base64url. */
export function generateToken(prefix: string): string {
  return `${prefix}${randomBytes(32).toString('base64url')}`;
}
