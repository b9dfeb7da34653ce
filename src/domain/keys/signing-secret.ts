import { randomBytes } from 'node:crypto';
import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import { ConflictError, LimitReachedError, ValidationError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import type { Cipher } from '../access/cipher.js';
import { previewSecret } from '../access/secret-hash.js';
import { type CommandContext, defineCommand } from '../commands/define-command.js';
import { publishKeyEvent } from './key-events.js';
import { apiKeyScope } from './scopes.js';
import { decideStatus } from './status.js';

/**
 * Creates the secret that signs the webhooks of a key: `whsec_` and 32 bytes in base64, the format of
 * Standard Webhooks. It is stored encrypted.
 * @returns the plaintext
 */
export async function createSigningSecret(
  tx: Tx,
  cipher: Cipher,
  key: Pick<ApiKey, 'id' | 'workspaceId'>,
  createdAt: Date,
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
      createdAt,
    },
  });
  return secret;
}

export interface RotateSigningSecretInput {
  readonly apiKeyId: string;
  /** Time for which the old secret signs in addition to the new one, in seconds. Default: 0. */
  readonly overlapSeconds?: number | null | undefined;
}

/** One week, in seconds. */
export const signingOverlapSecondsMax = 604_800;
/** Maximum number of secrets that sign at the same time. Each adds a signature to the header. */
export const signingSecretsMax = 4;

/**
 * Rotates the signing secret of a key. The new secret signs immediately; the old one also signs until the
 * overlap ends. The API key's own secret does not change.
 * @throws ValidationError, NotFoundError, ForbiddenError, LimitReachedError if too many secrets would sign,
 * ConflictError for a revoked key or a product without signing secrets
 */
export const rotateSigningSecret = defineCommand({
  name: 'rotateSigningSecret',
  permission: 'signingSecret:rotate',
  scope: apiKeyScope,
  audit: { done: 'signingSecret.rotated', refused: 'signingSecret.rotate.refused' },
  shownOnce: { of: 'apiKey', fields: ['signingSecret'] },
  throttled: true,
  async run(
    { tx, clock, audit, cipher }: CommandContext & { readonly cipher: Cipher },
    input: RotateSigningSecretInput,
    { key, product },
  ) {
    const overlapSeconds = parseOverlap('overlapSeconds', input.overlapSeconds ?? 0);
    const rotatedAt = clock();
    if (!product.signingSecrets) throw new ConflictError(`Keys of ${product.slug} have no signing secret.`);
    if (decideStatus(key, rotatedAt) === 'REVOKED') throw new ConflictError('The key is revoked. Create another one.');
    const retiresAt = new Date(rotatedAt.getTime() + overlapSeconds * 1000);
    const old = await tx.signingSecret.findFirst({ where: { apiKeyId: key.id, retiresAt: null } });
    await retireSigningSecrets(tx, key.id, retiresAt, rotatedAt);
    const signingSecret = await createSigningSecret(tx, cipher, key, rotatedAt);
    const oldSecretRetiresAt = retiresAt.toISOString();
    await publishKeyEvent(tx, 'signing_secret.rotated', key, rotatedAt, { oldSecretRetiresAt });
    audit({
      subjectId: key.id,
      before: { preview: old?.preview ?? null },
      after: { preview: previewSecret(signingSecret), oldSecretRetiresAt },
    });
    return { apiKey: key, signingSecret, signingSecretRotatedAt: rotatedAt, oldSigningSecretRetiresAt: retiresAt };
  },
});

/**
 * Sets the latest time at which the signing secrets of a key retire. Call it under the lock of the
 * workspace.
 * @throws LimitReachedError
 */
async function retireSigningSecrets(tx: Tx, apiKeyId: string, at: Date, now: Date): Promise<void> {
  await tx.signingSecret.updateMany({
    where: { apiKeyId, OR: [{ retiresAt: null }, { retiresAt: { gt: at } }] },
    data: { retiresAt: at },
  });
  if ((await tx.signingSecret.count({ where: { apiKeyId, retiresAt: { gt: now } } })) >= signingSecretsMax) {
    throw new LimitReachedError(
      signingSecretsMax,
      `At most ${signingSecretsMax} signing secrets of a key are valid at the same time. Rotate without an overlap, or wait until one is retired.`,
    );
  }
}

function parseOverlap(field: string, seconds: number): number {
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > signingOverlapSecondsMax) {
    throw new ValidationError(
      field,
      `The overlap must be a whole number of seconds from 0 to ${signingOverlapSecondsMax}.`,
    );
  }
  return seconds;
}
