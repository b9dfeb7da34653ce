import { ConflictError } from '../../errors.js';
import type { ApiKey } from '../../generated/prisma/client.js';
import { parseFutureTime, parseName } from '../access/input.js';
import { defineCommand } from '../commands/define-command.js';
import { parseAllowedOrigins, requireRoomForKey } from './create.js';
import { publishKeyEvent } from './key-events.js';
import { parseKeyPermissions } from './key-permissions.js';
import { apiKeyScope } from './scopes.js';
import { parseSpendLimit, type SpendLimit } from './spend-limit.js';
import { decideStatus } from './status.js';

export interface UpdateApiKeyInput {
  readonly apiKeyId: string;
  readonly name?: string | null | undefined;
  readonly enabled?: boolean | null | undefined;
  readonly permissions?: readonly string[] | null | undefined;
  readonly allowedOrigins?: readonly string[] | null | undefined;
  /** undefined: unchanged; null: no limit. */
  readonly spendLimit?: SpendLimit | null | undefined;
  /** undefined: unchanged; null: never. */
  readonly expiresAt?: Date | null | undefined;
}

/**
 * Renames, restricts, disables or enables a key, or sets when it expires. Omitted fields stay unchanged.
 * @throws ValidationError, NotFoundError, ForbiddenError, ConflictError for a revoked key, LimitReachedError
 * if the change would exceed the limit of active keys
 */
export const updateApiKey = defineCommand({
  name: 'updateApiKey',
  permission: 'apiKey:update',
  scope: apiKeyScope,
  audit: { done: 'apiKey.updated', refused: 'apiKey.update.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, input: UpdateApiKeyInput, { key, product }) {
    const now = clock();
    const status = decideStatus(key, now);
    if (status === 'REVOKED') throw new ConflictError('The key is revoked. Create another one.');
    const data = {
      name: input.name == null ? key.name : parseName('name', input.name),
      permissions:
        input.permissions == null ? key.permissions : parseKeyPermissions(product, 'permissions', input.permissions),
      allowedOrigins:
        input.allowedOrigins == null ? key.allowedOrigins : parseAllowedOrigins(product, input.allowedOrigins),
      ...(input.spendLimit === undefined ? {} : parseSpendLimit(input.spendLimit)),
      disabledAt: input.enabled == null ? key.disabledAt : input.enabled ? null : (key.disabledAt ?? now),
      expiresAt: decideExpiry(key, input, now),
    };
    if (status !== 'ACTIVE' && decideStatus({ ...key, ...data }, now) === 'ACTIVE') {
      await requireRoomForKey(tx, product, key.workspaceId, now);
    }
    const apiKey = await tx.apiKey.update({ where: { id: key.id }, data });
    const changed = listChanges(describeKey(key), describeKey(apiKey));
    if (changed.length > 0) await publishKeyEvent(tx, 'api_key.updated', apiKey, now, { changed });
    audit({ subjectId: key.id, before: describeKey(key), after: describeKey(apiKey) });
    return { apiKey };
  },
});

function decideExpiry(key: ApiKey, { expiresAt }: UpdateApiKeyInput, now: Date): Date | null {
  if (expiresAt === undefined) return key.expiresAt;
  return expiresAt === null ? null : parseFutureTime('expiresAt', expiresAt, now);
}

function describeKey({ name, permissions, allowedOrigins, spendLimit, spendPeriod, disabledAt, expiresAt }: ApiKey) {
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

/** The names of the properties that differ. */
function listChanges(before: object, after: object): string[] {
  const old = new Map(Object.entries(before).map(([name, value]) => [name, JSON.stringify(value)]));
  return Object.entries(after).flatMap(([name, value]) => (old.get(name) === JSON.stringify(value) ? [] : [name]));
}
