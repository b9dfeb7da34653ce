import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import { LimitReachedError, ValidationError } from '../../errors.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Product } from '../../products/product.js';
import { generateSecret } from '../../products/secret-format.js';
import type { Cipher } from '../access/cipher.js';
import { parseFutureTime, parseName, parseOrigins } from '../access/input.js';
import { principalRecord } from '../access/principal.js';
import { type CommandContext, defineCommand } from '../commands/define-command.js';
import { grantFreeCredits } from '../ledger/grant.js';
import { publishKeyEvent } from './key-events.js';
import { parseKeyPermissions } from './key-permissions.js';
import { createKeySecret } from './key-secret.js';
import { keyIssuerScope } from './scopes.js';
import { createSigningSecret } from './signing-secret.js';
import { parseSpendLimit, type SpendLimit } from './spend-limit.js';
import { hasStatus } from './status.js';

export interface CreateApiKeyInput {
  /** By default the user's PERSONAL workspace. */
  readonly workspaceId?: string | null | undefined;
  readonly name: string;
  /** By default the server's first product. */
  readonly product?: string | null | undefined;
  /** LIVE by default. */
  readonly environment?: Environment | null | undefined;
  /** By default all grantable permissions of the product. */
  readonly permissions?: readonly string[] | null | undefined;
  readonly allowedOrigins?: readonly string[] | null | undefined;
  readonly spendLimit?: SpendLimit | null | undefined;
  readonly expiresAt?: Date | null | undefined;
}

/**
 * Creates a key with its secret and, if the product uses them, its signing secret. `freeCreditsRemaining` is
 * the number of free credits granted with the workspace's first key of the product, else 0.
 * @throws ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError for a suspended
 * workspace
 */
export const createApiKey = defineCommand({
  name: 'createApiKey',
  permission: 'apiKey:create',
  scope: keyIssuerScope,
  audit: { done: 'apiKey.created', refused: 'apiKey.create.refused' },
  shownOnce: { of: 'apiKey', fields: ['secret', 'signingSecret'] },
  throttled: true,
  async run(context: CommandContext & { readonly cipher: Cipher }, input: CreateApiKeyInput, { workspaceId, product }) {
    const { tx, actor, cipher, audit } = context;
    const now = context.clock();
    const environment = input.environment ?? 'LIVE';
    const format = product.credential.secrets[environment];
    const name = parseName('name', input.name);
    if (format === undefined)
      throw new ValidationError('environment', `${product.slug} has LIVE keys only. Set the environment to LIVE.`);
    const permissions = parseKeyPermissions(product, 'permissions', input.permissions);
    const allowedOrigins = parseAllowedOrigins(product, input.allowedOrigins);
    const expiresAt = input.expiresAt ? parseFutureTime('expiresAt', input.expiresAt, now) : null;
    const spendLimit = parseSpendLimit(input.spendLimit);
    await requireRoomForKey(tx, product, workspaceId, now);

    const apiKey = await tx.apiKey.create({
      data: {
        id: newId('apiKey'),
        workspaceId,
        product: product.slug,
        environment,
        name,
        keyId: product.credential.transport === 'headerPair' ? generateSecret(product.credential.keyId) : null,
        permissions,
        allowedOrigins,
        ...spendLimit,
        createdByKind: principalRecord(actor.principal).kind,
        createdByUserId: actor.principal.kind === 'user' ? actor.principal.userId : null,
        createdAt: now,
        expiresAt,
      },
    });
    const { secret, keySecret } = await createKeySecret(tx, apiKey, format, now);
    const signingSecret = product.signingSecrets ? await createSigningSecret(tx, cipher, apiKey, now) : null;
    const freeCreditsRemaining = await grantFreeCredits(tx, actor, product, apiKey, now);
    await publishKeyEvent(tx, 'api_key.created', apiKey, now);
    audit({
      subjectId: apiKey.id,
      after: {
        name,
        product: product.slug,
        environment,
        keyId: apiKey.keyId,
        permissions,
        allowedOrigins,
        ...spendLimit,
        expiresAt: expiresAt?.toISOString() ?? null,
        secret: { id: keySecret.id, preview: keySecret.preview },
      },
    });
    return { apiKey, secret, signingSecret, freeCreditsRemaining };
  },
});

/**
 * Parses the allowed origins of a key; an empty list: no restriction.
 * @throws ValidationError, also if the product does not support allowed origins
 */
export function parseAllowedOrigins(product: Product, origins: readonly string[] | null | undefined): string[] {
  if (!origins || origins.length === 0) return [];
  if (!product.allowedOrigins) {
    throw new ValidationError('allowedOrigins', `Keys of ${product.slug} cannot be restricted to origins.`);
  }
  return parseOrigins('allowedOrigins', origins);
}

/**
 * Checks that one more active key is within the product's limit. Call it under the lock of the workspace.
 * @throws LimitReachedError
 */
export async function requireRoomForKey(tx: Tx, product: Product, workspaceId: string, now: Date): Promise<void> {
  const { activeKeysMax } = product;
  if (activeKeysMax === null) return;
  const active = await tx.apiKey.count({
    where: { workspaceId, product: product.slug, ...hasStatus('ACTIVE', now) },
  });
  if (active >= activeKeysMax) {
    throw new LimitReachedError(
      activeKeysMax,
      `A workspace can have at most ${activeKeysMax} active keys of ${product.slug}. Revoke or disable one first.`,
    );
  }
}
