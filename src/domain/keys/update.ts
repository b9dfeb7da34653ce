import { transaction } from '../../db/transaction.js';
import { ConflictError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import { parseFutureTime, parseName } from '../access/input.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';
import { parseAllowedOrigins } from './create.js';
import { publishKeyEvent } from './key-events.js';
import { parseKeyPermissions } from './key-permissions.js';
import { getManagedKey, requireRoomForKey } from './management.js';
import { parseSpendLimit, type SpendLimit } from './spend-limit.js';
import { decideStatus } from './status.js';

export interface UpdateApiKey {
  readonly apiKeyId: string;
  readonly name?: string | null | undefined;
  readonly enabled?: boolean | null | undefined;
  readonly permissions?: readonly string[] | null | undefined;
  readonly allowedOrigins?: readonly string[] | null | undefined;
  /** undefined: as it is; null: none. */
  readonly spendLimit?: SpendLimit | null | undefined;
  /** undefined: as it is; null: never. */
  readonly expiresAt?: Date | null | undefined;
}

/**
 * Renames, restricts, disables or enables a key, or sets when it expires. What is not named stays.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for a revoked key, LimitReachedError where the change would make it active beyond the limit
 */
export async function updateApiKey(deps: Deps, actor: Actor, input: UpdateApiKey): Promise<{ apiKey: ApiKey }> {
  const now = deps.clock();
  return transaction(deps.db, async (tx) => {
    const { key, product } = await getManagedKey(tx, deps, actor, input.apiKeyId, 'apiKey:update');
    const status = decideStatus(key, now);
    if (status === 'REVOKED') throw new ConflictError('The key is revoked. Create another one.');
    const data = {
      name: input.name == null ? key.name : parseName('input.name', input.name),
      permissions:
        input.permissions == null
          ? key.permissions
          : parseKeyPermissions(product, 'input.permissions', input.permissions),
      allowedOrigins:
        input.allowedOrigins == null ? key.allowedOrigins : parseAllowedOrigins(product, input.allowedOrigins),
      ...(input.spendLimit === undefined ? {} : parseSpendLimit(input.spendLimit)),
      disabledAt: input.enabled == null ? key.disabledAt : input.enabled ? null : (key.disabledAt ?? now),
      expiresAt: input.expiresAt ? parseFutureTime('input.expiresAt', input.expiresAt, now) : keepOrClear(key, input),
    };
    if (status !== 'ACTIVE' && decideStatus({ ...key, ...data }, now) === 'ACTIVE') {
      await requireRoomForKey(tx, product, key.workspaceId, now);
    }
    const apiKey = await tx.apiKey.update({ where: { id: key.id }, data });
    const changed = findChanges(changeable(key), changeable(apiKey));
    if (changed.length > 0) await publishKeyEvent(tx, 'api_key.updated', apiKey, now, { changed });
    await recordAudit(tx, actor, {
      workspaceId: key.workspaceId,
      action: 'apiKey.updated',
      subjectId: key.id,
      before: changeable(key),
      after: changeable(apiKey),
    });
    return { apiKey };
  });
}

function keepOrClear(key: ApiKey, { expiresAt }: UpdateApiKey): Date | null {
  return expiresAt === null ? null : key.expiresAt;
}

function changeable({ name, permissions, allowedOrigins, spendLimit, spendPeriod, disabledAt, expiresAt }: ApiKey) {
  return {
    name,
    permissions,
    allowedOrigins,
    spendLimit,
    spendPeriod,
    disabledAt: disabledAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
  };
}

/** The names of what differs. */
function findChanges(before: object, after: object): string[] {
  const old = new Map(Object.entries(before).map(([name, value]) => [name, JSON.stringify(value)]));
  return Object.entries(after).flatMap(([name, value]) => (old.get(name) === JSON.stringify(value) ? [] : [name]));
}
