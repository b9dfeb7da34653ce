import { parseReason } from '../access/input.js';
import { defineCommand } from '../commands/define-command.js';
import { publishKeyEvent } from './key-events.js';
import { apiKeyScope } from './scopes.js';

export interface RevokeApiKeyInput {
  readonly apiKeyId: string;
  readonly reason?: string | null | undefined;
}

/**
 * Revokes a key permanently. Revoking it again is not an error: the first revocation counts.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export const revokeApiKey = defineCommand({
  name: 'revokeApiKey',
  permission: 'apiKey:revoke',
  scope: apiKeyScope,
  audit: { done: 'apiKey.revoked', refused: 'apiKey.revoke.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, input: RevokeApiKeyInput, { key }) {
    const reason = parseReason('reason', input.reason);
    const revokedAt = clock();
    const { count } = await tx.apiKey.updateMany({
      where: { id: key.id, revokedAt: null },
      data: { revokedAt, revocationReason: reason },
    });
    if (count > 0) {
      await publishKeyEvent(tx, 'api_key.revoked', { ...key, revokedAt }, revokedAt, { reason });
      audit({
        subjectId: key.id,
        before: { revokedAt: null, reason: null },
        after: { revokedAt: revokedAt.toISOString(), reason },
      });
    }
    return { apiKey: await tx.apiKey.findUniqueOrThrow({ where: { id: key.id } }) };
  },
});

/**
 * Revokes a key and removes it from every list. Its ledger entries stay.
 * @throws NotFoundError, ForbiddenError
 */
export const deleteApiKey = defineCommand({
  name: 'deleteApiKey',
  permission: 'apiKey:delete',
  scope: apiKeyScope,
  audit: { done: 'apiKey.deleted', refused: 'apiKey.delete.refused' },
  shownOnce: null,
  throttled: true,
  async run({ tx, clock, audit }, _input: { readonly apiKeyId: string }, { key }) {
    const now = clock();
    const revokedAt = key.revokedAt ?? now;
    await tx.apiKey.update({ where: { id: key.id }, data: { deletedAt: now, revokedAt } });
    if (key.revokedAt === null) {
      await publishKeyEvent(tx, 'api_key.revoked', { ...key, revokedAt }, now, { reason: null });
    }
    audit({
      subjectId: key.id,
      before: { name: key.name, revokedAt: key.revokedAt?.toISOString() ?? null, deletedAt: null },
      after: { name: key.name, revokedAt: revokedAt.toISOString(), deletedAt: now.toISOString() },
    });
    return { deletedApiKeyId: key.id };
  },
});
