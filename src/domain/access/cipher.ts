import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * Encrypts data that must be decrypted later, such as signing secrets. `context` binds a ciphertext to its
 * row: decryption with another context fails.
 */
export interface Cipher {
  seal(plaintext: string, context: string): Uint8Array<ArrayBuffer>;
  open(ciphertext: Uint8Array, context: string): string;
}

const version = 1;
const ivBytes = 12;
const tagBytes = 16;

/**
 * AES-256-GCM. A ciphertext is a version byte, the nonce, the tag and the encrypted bytes.
 * @param key 32 bytes
 */
export function createCipher(key: Uint8Array): Cipher {
  return {
    seal(plaintext, context) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
      const encrypted = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      return new Uint8Array(Buffer.concat([Buffer.of(version), iv, cipher.getAuthTag(), encrypted]));
    },
    open(ciphertext, context) {
      const bytes = Buffer.from(ciphertext);
      if (bytes[0] !== version) throw new Error(`Unknown ciphertext version: ${bytes[0]}`);
      const iv = bytes.subarray(1, 1 + ivBytes);
      const tag = bytes.subarray(1 + ivBytes, 1 + ivBytes + tagBytes);
      // By default Node accepts tags truncated to four bytes, which an attacker can guess.
      const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes })
        .setAAD(Buffer.from(context))
        .setAuthTag(tag);
      return decipher.update(bytes.subarray(1 + ivBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
    },
  };
}
