import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** SHA-256 of a secret, 32 bytes. Only this hash is stored. */
export function hashSecret(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hash('sha256', secret, 'buffer'));
}

/** SHA-256 of a secret, in hexadecimal. */
export function hashSecretHex(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** Compares two strings of any length in constant time. */
export function equalInConstantTime(a: string, b: string): boolean {
  return timingSafeEqual(hashSecret(a), hashSecret(b));
}

/** The preview of a secret: its last four characters. */
export function previewSecret(secret: string): string {
  return secret.slice(-4);
}

/** A random token: the prefix and 32 bytes in base64url. */
export function generateToken(prefix: string): string {
  return `${prefix}${randomBytes(32).toString('base64url')}`;
}
