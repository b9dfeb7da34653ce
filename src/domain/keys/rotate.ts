import { type Tx, transaction } from '../../db/transaction.js';
import { ConflictError, LimitReachedError, ValidationError } from '../../errors.js';
import type { ApiKey, KeySecret } from '../../generated/prisma/client.js';
import type { Product, SecretFormat } from '../../products/product.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { publishKeyEvent } from './key-events.js';
import { createKeySecret } from './key-secret.js';
import { getManagedKey } from './management.js';
import { decideStatus } from './status.js';

export interface RotateApiKey {
  readonly apiKeyId: string;
  /** For how long the secrets that the key has now go on working; 0: they end at once. */
  readonly overlapSeconds: number;
}

export interface RotatedApiKey {
  readonly apiKey: ApiKey;
  /** The plaintext of the new secret, for this once. */
  readonly secret: string;
  /** When the last of the old secrets ends: now, or when the overlap is over; null where the key had none that worked. */
  readonly oldSecretsRetireAt: Date | null;
}

/** The most secrets of one key that work at once, the new one included. */
export const liveSecretsMax = 5;

/**
 * Gives a key a new secret. Its id, its limits, its history and, with a header pair, its key id stay. The old secrets work until the
 * overlap ends, and never longer than they would have without it.
 * @throws ValidationError for a longer overlap than the product allows, NotFoundError, ForbiddenError, ConflictError for a key that is
 * revoked or has expired, LimitReachedError where too many secrets would work at once
 */
export async function rotateApiKey(deps: Deps, actor: Actor, input: RotateApiKey): Promise<RotatedApiKey> {
  return transaction(deps.db, async (tx) => {
    const { key, product } = await getManagedKey(tx, deps, actor, input.apiKeyId, 'apiKey:rotate');
    const overlapSeconds = parseOverlap(product, input.overlapSeconds);
    const now = deps.clock();
    const format = getFormatOfLivingKey(key, product, now);
    const old = await retireAll(tx, key, new Date(now.getTime() + overlapSeconds * 1000), now);
    const stillWork = old.filter(({ retiresAt }) => retiresAt !== null && retiresAt > now);
    if (stillWork.length >= liveSecretsMax) {
      throw new LimitReachedError(
        liveSecretsMax,
        `At most ${liveSecretsMax} secrets of a key work at once. Retire an old one first, or rotate without an overlap.`,
      );
    }
    const { secret, keySecret } = await createKeySecret(tx, key, format, now);
    const oldSecretsRetireAt = latest(old);
    await publishKeyEvent(tx, 'api_key.rotated', key, now, {
      secretPreview: keySecret.preview,
      oldSecretsRetireAt: shown(oldSecretsRetireAt),
    });
    await recordAudit(tx, actor, {
      workspaceId: key.workspaceId,
      action: 'apiKey.rotated',
      subjectId: key.id,
      before: { secrets: old.map(({ id, preview, endedAt }) => ({ id, preview, retiresAt: shown(endedAt) })) },
      after: {
        secrets: [...old, keySecret].map(({ id, preview, retiresAt }) => ({
          id,
          preview,
          retiresAt: shown(retiresAt),
        })),
      },
    });
    return { apiKey: key, secret, oldSecretsRetireAt };
  });
}

function parseOverlap({ slug, rotation }: Product, overlapSeconds: number): number {
  const { overlapSecondsMax } = rotation;
  if (Number.isInteger(overlapSeconds) && overlapSeconds >= 0 && overlapSeconds <= overlapSecondsMax) {
    return overlapSeconds;
  }
  throw new ValidationError(
    'input.overlapSeconds',
    overlapSecondsMax === 0
      ? `The old secret of a key of ${slug} ends at once: the overlap has to be 0.`
      : `An overlap of a key of ${slug} is a whole number of seconds from 0 to ${overlapSecondsMax}.`,
  );
}

function getFormatOfLivingKey(key: ApiKey, product: Product, now: Date): SecretFormat {
  switch (decideStatus(key, now)) {
    case 'REVOKED':
      throw new ConflictError('The key is revoked. Create another one.');
    case 'EXPIRED':
      throw new ConflictError('The key has expired. Give it a later expiresAt first, or create another one.');
    default: {
      const format = product.credential.secrets[key.environment];
      if (format === undefined) throw new ConflictError(`Keys of ${product.slug} exist for LIVE only.`);
      return format;
    }
  }
}

type RetiredSecret = Pick<KeySecret, 'id' | 'preview' | 'retiresAt'> & {
  /** When it would have ended without this. */
  readonly endedAt: Date | null;
};

/**
 * Lets all secrets of a key that work now end at a time, at the end of the key, or when they end anyway: whichever comes first.
 * They are locked in the order in which the recorder of uses locks them.
 */
async function retireAll(tx: Tx, key: ApiKey, at: Date, now: Date): Promise<RetiredSecret[]> {
  return tx.$queryRaw<RetiredSecret[]>`
    WITH old AS (
      SELECT "id", "retiresAt" FROM "KeySecret"
      WHERE "workspaceId" = ${key.workspaceId} AND "apiKeyId" = ${key.id}
        AND ("retiresAt" IS NULL OR "retiresAt" > ${now}::timestamptz)
      ORDER BY "id" FOR NO KEY UPDATE
    )
    UPDATE "KeySecret" s SET "retiresAt" = least(old."retiresAt", ${at}::timestamptz, ${key.expiresAt}::timestamptz)
    FROM old WHERE s."id" = old."id"
    RETURNING s."id", s."preview", s."retiresAt", old."retiresAt" AS "endedAt"`;
}

function latest(secrets: readonly RetiredSecret[]): Date | null {
  const times = secrets.flatMap(({ retiresAt }) => (retiresAt === null ? [] : [retiresAt.getTime()]));
  return times.length === 0 ? null : new Date(Math.max(...times));
}

function shown(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}
