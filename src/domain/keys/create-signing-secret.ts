import { randomBytes } from 'node:crypto';
import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import { previewSecret } from '../access/secret-hash.js';
import type { Deps } from '../deps.js';

/** Makes the secret that signs a key's webhooks: `whsec_` and 32 bytes in base64, as Standard Webhooks writes it. The plaintext is returned once. */
export async function createSigningSecret(
  tx: Tx,
  { cipher, clock }: Pick<Deps, 'cipher' | 'clock'>,
  key: Pick<ApiKey, 'id' | 'workspaceId'>,
): Promise<string> {
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const id = newId('signingSecret');
  await tx.signingSecret.create({
    data: {
      id,
      workspaceId: key.workspaceId,
      apiKeyId: key.id,
      ciphertext: cipher.seal(secret, id),
      preview: previewSecret(secret),
      createdAt: clock(),
    },
  });
  return secret;
}
