import { type Tx, transaction } from '../../db/transaction.js';
import { ConflictError, LimitReachedError, ValidationError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import type { Actor } from '../access/principal.js';
import { previewSecret } from '../access/secret-hash.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { createSigningSecret } from './create-signing-secret.js';
import { publishKeyEvent } from './key-events.js';
import { getManagedKey } from './management.js';
import { decideStatus } from './status.js';

export interface RotateSigningSecret {
  readonly apiKeyId: string;
  /** How long the old secret signs beside the new one. Without it: not at all. */
  readonly overlapSeconds?: number | null | undefined;
}

/** A week is enough for everybody to change a secret. */
export const signingOverlapSecondsMax = 604_800;
/** The most secrets that sign at once: each is a signature more in a header. */
export const signingSecretsMax = 4;

/**
 * Replaces the signing secret of a key. The new one signs at once; the old one signs nothing from now on, or beside the new one until
 * the overlap ends. The key itself stays as it is.
 * @throws ValidationError, NotFoundError, ForbiddenError, LimitReachedError where too many would sign at once, ConflictError for a revoked
 * key or a product without signing secrets
 */
export async function rotateSigningSecret(
  deps: Deps,
  actor: Actor,
  input: RotateSigningSecret,
): Promise<{ apiKey: ApiKey; signingSecret: string; signingSecretRotatedAt: Date; oldSigningSecretRetiresAt: Date }> {
  const overlapSeconds = parseOverlap('input.overlapSeconds', input.overlapSeconds ?? 0);
  return transaction(deps.db, async (tx) => {
    const { key, product } = await getManagedKey(tx, deps, actor, input.apiKeyId, 'signingSecret:rotate');
    const rotatedAt = deps.clock();
    if (!product.signingSecrets) throw new ConflictError(`Keys of ${product.slug} have no signing secret.`);
    if (decideStatus(key, rotatedAt) === 'REVOKED') throw new ConflictError('The key is revoked.');
    const retiresAt = new Date(rotatedAt.getTime() + overlapSeconds * 1000);
    const old = await tx.signingSecret.findFirst({ where: { apiKeyId: key.id, retiresAt: null } });
    await retireAll(tx, key.id, retiresAt, rotatedAt);
    const signingSecret = await createSigningSecret(tx, { ...deps, clock: () => rotatedAt }, key);
    const oldSecretRetiresAt = retiresAt.toISOString();
    await publishKeyEvent(tx, 'signing_secret.rotated', key, rotatedAt, { oldSecretRetiresAt });
    await recordAudit(tx, actor, {
      workspaceId: key.workspaceId,
      action: 'signingSecret.rotated',
      subjectId: key.id,
      before: { preview: old?.preview ?? null },
      after: { preview: previewSecret(signingSecret), oldSecretRetiresAt },
    });
    return { apiKey: key, signingSecret, signingSecretRotatedAt: rotatedAt, oldSigningSecretRetiresAt: retiresAt };
  });
}

/** Lets every secret end at a time, or when it ends anyway. Called under the lock of the key's workspace. */
async function retireAll(tx: Tx, apiKeyId: string, at: Date, now: Date): Promise<void> {
  await tx.signingSecret.updateMany({
    where: { apiKeyId, OR: [{ retiresAt: null }, { retiresAt: { gt: at } }] },
    data: { retiresAt: at },
  });
  if ((await tx.signingSecret.count({ where: { apiKeyId, retiresAt: { gt: now } } })) >= signingSecretsMax) {
    throw new LimitReachedError(
      signingSecretsMax,
      `At most ${signingSecretsMax} secrets sign at once. Rotate without an overlap, or wait until one has ended.`,
    );
  }
}

function parseOverlap(field: string, seconds: number): number {
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > signingOverlapSecondsMax) {
    throw new ValidationError(field, `An overlap is a whole number of seconds from 0 to ${signingOverlapSecondsMax}.`);
  }
  return seconds;
}
