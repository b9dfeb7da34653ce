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
  /** How long the current secrets stay valid, in seconds; 0: they are retired at once. */
  readonly overlapSeconds: number;
}

/** The most secrets of one key that are valid at the same time, the new one included. */
export const liveSecretsMax = 5;

/**
 * Gives a key a new secret. Its id, limits, history and, with a header pair, its key id stay. The old
 * secrets stay valid until the overlap ends, and never longer than without the rotation.
 * `oldSecretsRetireAt` is null where no old secret was valid.
 * @throws ValidationError for an overlap over the product's maximum, NotFoundError, ForbiddenError,
 * ConflictError for a revoked or expired key, LimitReachedError where too many secrets would be valid
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
    // Read under the lock: a concurrent rotation sets an end for the newest secret.
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
      ? `The old secret of a key of ${slug} is retired at once: the overlap has to be 0.`
      : `An overlap of a key of ${slug} is a whole number of seconds from 0 to ${overlapSecondsMax}.`,
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
      if (format === undefined) throw new ConflictError(`Keys of ${product.slug} exist for LIVE only.`);
      return format;
    }
  }
}

type RetiredSecret = Pick<KeySecret, 'id' | 'preview' | 'retiresAt'> & {
  /** When it would have been retired without the rotation. */
  readonly retiredBefore: Date | null;
};

/**
 * Sets when the valid secrets of a key are retired: at the given time, when the key expires, or when they
 * are retired anyway, whichever comes first. The rows are locked in the order in which the recorder of uses
 * locks them.
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
