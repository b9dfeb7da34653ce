import { newId } from '../../db/ids.js';
import { type Tx, transaction } from '../../db/transaction.js';
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Product } from '../../products/product.js';
import { generateSecret } from '../../products/secret-format.js';
import { findAccess, lockWorkspace } from '../access/access.js';
import { parseFutureTime, parseName, parseOrigins } from '../access/input.js';
import { type Actor, principalRecord } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { grantFreeCredits } from '../ledger/grant.js';
import { findPersonalWorkspaceId } from '../workspaces/personal.js';
import { createSigningSecret } from './create-signing-secret.js';
import { publishKeyEvent } from './key-events.js';
import { parseKeyPermissions } from './key-permissions.js';
import { createKeySecret } from './key-secret.js';
import { mayIssueKeys, requireRoomForKey } from './management.js';
import { parseSpendLimit, type SpendLimit } from './spend-limit.js';

export interface CreateApiKey {
  /** Without one: the person's PERSONAL workspace. */
  readonly workspaceId?: string | null | undefined;
  readonly name: string;
  /** Without one: the server's first product. */
  readonly product?: string | null | undefined;
  readonly environment: Environment;
  /** Without them: all that the product lets keys hold. */
  readonly permissions?: readonly string[] | null | undefined;
  readonly allowedOrigins?: readonly string[] | null | undefined;
  readonly spendLimit?: SpendLimit | null | undefined;
  readonly expiresAt?: Date | null | undefined;
}

export interface CreatedApiKey {
  readonly apiKey: ApiKey;
  /** The plaintext, for this once. */
  readonly secret: string;
  readonly signingSecret: string | null;
  /** The product's free credits if this is the workspace's first key of it, else 0. */
  readonly freeCreditsRemaining: number;
}

/**
 * Creates a key in a workspace, with its secret and, where the product has them, its signing secret.
 * @throws ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError for a suspended workspace
 */
export async function createApiKey(deps: Deps, actor: Actor, input: CreateApiKey): Promise<CreatedApiKey> {
  const now = deps.clock();
  const product = input.product == null ? deps.products.primary : deps.products.find(input.product);
  if (product === null) throw new ValidationError('input.product', `There is no product of this name. ${known(deps)}`);
  const name = parseName('input.name', input.name);
  const format = product.credential.secrets[input.environment];
  if (format === undefined) {
    throw new ValidationError('input.environment', `Keys of ${product.slug} exist for LIVE only.`);
  }
  const permissions = parseKeyPermissions(product, 'input.permissions', input.permissions);
  const allowedOrigins = parseAllowedOrigins(product, input.allowedOrigins);
  const expiresAt = input.expiresAt ? parseFutureTime('input.expiresAt', input.expiresAt, now) : null;
  const spendLimit = parseSpendLimit(input.spendLimit);
  const workspaceId = input.workspaceId ?? (await getOwnWorkspaceId(deps, actor));

  return transaction(deps.db, async (tx) => {
    await requireIssuer(tx, actor, product, workspaceId);
    await requireRoomForKey(tx, product, workspaceId, now);
    const { kind } = principalRecord(actor.principal);
    const apiKey = await tx.apiKey.create({
      data: {
        id: newId('apiKey'),
        workspaceId,
        product: product.slug,
        environment: input.environment,
        name,
        keyId: product.credential.transport === 'headerPair' ? generateSecret(product.credential.keyId) : null,
        permissions,
        allowedOrigins,
        ...spendLimit,
        createdByKind: kind,
        createdByUserId: actor.principal.kind === 'user' ? actor.principal.userId : null,
        createdAt: now,
        expiresAt,
      },
    });
    const { secret, keySecret } = await createKeySecret(tx, apiKey, format, now);
    const atOnce = { ...deps, clock: () => now };
    const signingSecret = product.signingSecrets ? await createSigningSecret(tx, atOnce, apiKey) : null;
    const freeCreditsRemaining = await grantFreeCredits(tx, actor, product, apiKey, now);
    await publishKeyEvent(tx, 'api_key.created', apiKey, now);
    await recordAudit(tx, actor, {
      workspaceId,
      action: 'apiKey.created',
      subjectId: apiKey.id,
      after: {
        name,
        product: product.slug,
        environment: input.environment,
        keyId: apiKey.keyId,
        permissions,
        allowedOrigins,
        ...spendLimit,
        expiresAt: expiresAt?.toISOString() ?? null,
        secret: { id: keySecret.id, preview: keySecret.preview },
      },
    });
    return { apiKey, secret, signingSecret, freeCreditsRemaining };
  });
}

/** Origins to which a key is restricted; empty for none. @throws ValidationError where the product does not restrict by origin. */
export function parseAllowedOrigins(product: Product, asked: readonly string[] | null | undefined): string[] {
  if (!asked || asked.length === 0) return [];
  if (!product.allowedOrigins) {
    throw new ValidationError('input.allowedOrigins', `Keys of ${product.slug} cannot be restricted to origins.`);
  }
  return parseOrigins('input.allowedOrigins', asked);
}

async function requireIssuer(tx: Tx, actor: Actor, product: Product, workspaceId: string): Promise<void> {
  await lockWorkspace(tx, workspaceId);
  const access = await findAccess(tx, actor.principal, workspaceId);
  if (access === null) throw new NotFoundError('input.workspaceId', 'Workspace not found.');
  if (!mayIssueKeys(product, actor.principal, access)) {
    throw new ForbiddenError(
      product.issuers.by === 'permission' ? product.issuers.permission : 'apiKey:create',
      product.issuers.by === 'operator'
        ? `Keys of ${product.slug} are issued by the operator.`
        : `You may not create keys of ${product.slug} in this workspace.`,
    );
  }
  if (access.suspendedAt !== null) throw new ConflictError('The workspace is suspended.');
}

async function getOwnWorkspaceId(deps: Deps, { principal }: Actor): Promise<string> {
  const workspaceId = principal.kind === 'user' ? await findPersonalWorkspaceId(deps, principal.userId) : null;
  if (workspaceId === null)
    throw new ValidationError('input.workspaceId', 'Name the workspace that is to own the key.');
  return workspaceId;
}

function known({ products }: Deps): string {
  return `One of: ${products.all.map((product) => product.slug).join(', ')}.`;
}
