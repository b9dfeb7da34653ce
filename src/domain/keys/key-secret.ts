import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import type { ApiKey, KeySecret } from '../../generated/prisma/client.js';
import type { SecretFormat } from '../../products/secret-format.js';
import { generateSecret } from '../../products/secret-format.js';
import { hashSecret, previewSecret } from '../access/secret-hash.js';

/** Creates a secret of a key. The plaintext is returned and not stored. */
export async function createKeySecret(
  tx: Tx,
  key: Pick<ApiKey, 'id' | 'workspaceId'>,
  format: SecretFormat,
  createdAt: Date,
): Promise<{ secret: string; keySecret: KeySecret }> {
  const secret = generateSecret(format);
  const keySecret = await tx.keySecret.create({
    data: {
      id: newId('keySecret'),
      workspaceId: key.workspaceId,
      apiKeyId: key.id,
      hash: hashSecret(secret),
      preview: previewSecret(secret),
      createdAt,
    },
  });
  return { secret, keySecret };
}
