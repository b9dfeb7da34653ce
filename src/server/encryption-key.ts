import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartError } from '../errors.js';

const keyBytes = 32;

/**
 * Reads the server's encryption key from the data folder, or creates it on the first start: 32 bytes in
 * base64, in a file that only its owner can read.
 * @throws StartError if the file exists but does not contain such a key.
 */
export async function readOrMakeEncryptionKey(dataDir: string): Promise<Buffer> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'encryption.key');
  try {
    // wx: fails if the file exists. A process that comes second reads the key of the first.
    const file = await open(path, 'wx', 0o600);
    const key = randomBytes(keyBytes);
    await file.writeFile(`${key.toString('base64')}\n`);
    await file.sync();
    await file.close();
    return key;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const key = Buffer.from((await readFile(path, 'utf8')).trim(), 'base64');
  if (key.length !== keyBytes) {
    throw new StartError(
      `${path} does not contain an encryption key of ${keyBytes} bytes in base64. Restore the right file from a backup: ` +
        'signing secrets cannot be decrypted without it.',
    );
  }
  return key;
}
