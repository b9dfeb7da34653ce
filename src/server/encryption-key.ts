import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartError } from '../errors.js';

const keyBytes = 32;

/**
 * The server's encryption key from the data folder, made on the first start: 32 bytes in base64, readable by the owner alone.
 * @throws StartError where the file is there, but holds no such key.
 */
export async function readOrMakeEncryptionKey(dataDir: string): Promise<Buffer> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'encryption.key');
  try {
    // wx: whoever comes second reads what the first one wrote.
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
      `${path} does not hold an encryption key of ${keyBytes} bytes in base64. Put the right one back: signing secrets cannot be read without it.`,
    );
  }
  return key;
}
