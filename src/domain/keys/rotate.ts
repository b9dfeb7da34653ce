import type { Tx } from '../../db/transaction.js';
import { ConflictError, LimitReachedError, ValidationError } from '../../errors.js';
import type { ApiKey, KeySecret } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import type { SecretFormat } from '../../products/secret-format.js';
import { defineCommand } from '../commands/define-command.js';
import { publishKeyEvent } from './key-events.js';
import { createKeySecret } from './key-secret.js';
import { apiKeyScope, keySecretScope } from './scopes.js';
import { decideStatus } from './status.js';

export interface RotateApiKeyInput {
  readonly apiKeyId: string;
  /** Time for which the old secrets stay valid, in seconds. 0: they are retired immediately. */
  readonly overlapSeconds: number;
}

/** Maximum number of valid secrets of one key, including the new one. */
export const liveSecretsMax = 5;

/**
 * Rotates the secret of a key. Its id, limits, history and the key id of a header pair do not change. The
 * old secrets stay valid until the overlap ends, but not longer than without the rotation.
 * `oldSecretsRetireAt` is null if no old secret was valid.
 * @throws ValidationError for an overlap over the product's maximum, NotFoundError, ForbiddenError,
 * ConflictError for a revoked or expired key, LimitReachedError if too many secrets would be valid
 */
export const rotateApiKey = defineCommand({
  name: 'rotateApiKey',
  permission: 'apiKey:rotate',
  scope: apiKeyScope,
  audit: { done: 'apiKey.rotated', refused: 'apiKey.rotate.refused' },
  shownOnce: { of: 'apiKey', fields: ['secret'] },
  throttled: true,
  async run({ tx, clock, audit }, input: RotateApiKeyInput, { key, product }) {
    const overlapSeconds = parseOverlap(product, input.overlapSeconds);
    const now = clock();
    const format = getFormat(key, product, now);
    const old = await retireSecrets(tx, key, new Date(now.getTime() + overlapSeconds * 1000), now);
    const valid = old.filter(({ retiresAt }) => retiresAt !== null && retiresAt > now);
    if (valid.length >= liveSecretsMax) {
      throw new LimitReachedError(
        liveSecretsMax,
        `At most ${liveSecretsMax} secrets of a key are valid at the same time. Retire one first, or rotate without an overlap.`,
      );
    }
    const { secret, keySecret } = await createKeySecret(tx, key, format, now);
    const oldSecretsRetireAt = findLatest(old);
    await publishKeyEvent(tx, 'api_key.rotated', key, now, {
      secretPreview: keySecret.preview,
      oldSecretsRetireAt: toIso(oldSecretsRetireAt),
    });
    audit({
      subjectId: key.id,
      before: {
        secrets: old.map(({ id, preview, retiredBefore }) => ({ id, preview, retiresAt: toIso(retiredBefore) })),
      },
      after: {
        secrets: [...old, keySecret].map(({ id, preview, retiresAt }) => ({
          id,
          preview,
          retiresAt: toIso(retiresAt),
        })),
      },
    });
    return { apiKey: key, secret, oldSecretsRetireAt };
  },
});

export interface RetireSecretInput {
  readonly secretId: string;
}

/**
 * Retires an old secret of a key before its overlap ends. Retiring it again is not an error: the first time
 * counts.
 * @throws NotFoundError, ForbiddenError, ConflictError for the newest secret, without which the key would be
 * unusable
 */
export const retireSecret = defineCommand({
  name: 'retireSecret',
  permission: 'apiKey:rotate',
  scope: keySecretScope,
  audit: { done: 'apiKey.secretRetired', refused: 'secret.retire.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, input: RetireSecretInput, { key }) {
    // Read under the lock, because a concurrent rotation sets when this secret retires.
    const { id, preview, retiresAt } = await tx.keySecret.findUniqueOrThrow({ where: { id: input.secretId } });
    if (retiresAt === null) {
      throw new ConflictError('This is the newest secret of the key. Rotate the key first, or revoke it.');
    }
    const now = clock();
    const { count } = await tx.keySecret.updateMany({
      where: { id, retiresAt: { gt: now } },
      data: { retiresAt: now },
    });
    if (count > 0) {
      audit({
        subjectId: key.id,
        before: { secret: { id, preview, retiresAt: retiresAt.toISOString() } },
        after: { secret: { id, preview, retiresAt: now.toISOString() } },
      });
    }
    return { apiKey: key };
  },
});

function parseOverlap({ slug, rotation }: Product, overlapSeconds: number): number {
  const { overlapSecondsMax } = rotation;
  if (Number.isInteger(overlapSeconds) && overlapSeconds >= 0 && overlapSeconds <= overlapSecondsMax) {
    return overlapSeconds;
  }
  throw new ValidationError(
    'overlapSeconds',
    overlapSecondsMax === 0
      ? `Keys of ${slug} do not support an overlap. Set it to 0.`
      : `The overlap of a key of ${slug} must be a whole number of seconds from 0 to ${overlapSecondsMax}.`,
  );
}

/** @throws ConflictError for a key that cannot be rotated */
function getFormat(key: ApiKey, product: Product, now: Date): SecretFormat {
  switch (decideStatus(key, now)) {
    case 'REVOKED':
      throw new ConflictError('The key is revoked. Create another one.');
    case 'EXPIRED':
      throw new ConflictError('The key has expired. Set a later expiresAt first, or create another one.');
    default: {
      const format = product.credential.secrets[key.environment];
      if (format === undefined) throw new ConflictError(`${product.slug} has LIVE keys only. Create a LIVE key.`);
      return format;
    }
  }
}

type RetiredSecret = Pick<KeySecret, 'id' | 'preview' | 'retiresAt'> & {
  /** Time at which the secret would have retired without the rotation; null: never. */
  readonly retiredBefore: Date | null;
};

/**
 * Sets when the valid secrets of a key retire: at the given time, at the expiry of the key or at the time
 * already set, whichever comes first. To avoid deadlocks, the rows are locked in the same order as by the
 * use recorder.
 */
async function retireSecrets(tx: Tx, key: ApiKey, at: Date, now: Date): Promise<RetiredSecret[]> {
  return tx.$queryRaw<RetiredSecret[]>`
    WITH old AS (
      SELECT "id", "retiresAt" FROM "KeySecret"
      WHERE "workspaceId" = ${key.workspaceId} AND "apiKeyId" = ${key.id}
        AND ("retiresAt" IS NULL OR "retiresAt" > ${now}::timestamptz)
      ORDER BY "id" FOR NO KEY UPDATE
    )
    UPDATE "KeySecret" s SET "retiresAt" = least(old."retiresAt", ${at}::timestamptz, ${key.expiresAt}::timestamptz)
    FROM old WHERE s."id" = old."id"
    RETURNING s."id", s."preview", s."retiresAt", old."retiresAt" AS "retiredBefore"`;
}

function findLatest(secrets: readonly RetiredSecret[]): Date | null {
  const times = secrets.flatMap(({ retiresAt }) => (retiresAt === null ? [] : [retiresAt.getTime()]));
  return times.length === 0 ? null : new Date(Math.max(...times));
}

function toIso(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}
