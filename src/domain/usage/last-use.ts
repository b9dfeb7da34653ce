import type { Db } from '../../db/transaction.js';
import type { ApiKey } from '../../generated/prisma/client.js';

/** When the secrets of a key were last used. */
export interface LastUses {
  /** Of any secret; null for never. */
  readonly ofKey: Date | null;
  /** By the ids of the secrets; those that were never used are left out. */
  readonly bySecret: ReadonlyMap<string, Date>;
}

export const neverUsed: LastUses = { ofKey: null, bySecret: new Map() };

/**
 * The last uses of each key, in one statement, a few seconds late. Keys that were never used are left out.
 */
export async function readLastUses(
  db: Db,
  keys: readonly Pick<ApiKey, 'id' | 'workspaceId'>[],
): Promise<Map<string, LastUses>> {
  // Usage is sorted by time, so the last use of a secret is found by one probe backwards, and only within the
  // time in which it was valid: an hour more on both sides, since the clocks of processes differ.
  const rows = await db.$queryRaw<{ apiKeyId: string; secretId: string; lastUsedAt: Date }[]>`
    SELECT s."apiKeyId", s."id" AS "secretId", u."lastUsedAt"
    FROM unnest(${keys.map(({ id }) => id)}::text[], ${keys.map(({ workspaceId }) => workspaceId)}::text[]) AS k(id, workspace_id)
    JOIN "KeySecret" s ON s."workspaceId" = k.workspace_id AND s."apiKeyId" = k.id
    CROSS JOIN LATERAL (
      SELECT "lastUsedAt" FROM "KeyUsage"
      WHERE "apiKeyId" = s."apiKeyId" AND "code" = 'VALID' AND "secretId" = s."id" AND "lastUsedAt" IS NOT NULL
        AND "hour" >= date_trunc('hour', s."createdAt", 'UTC') - interval '1 hour'
        AND "hour" <= coalesce(s."retiresAt", 'infinity') + interval '1 hour'
      ORDER BY "hour" DESC LIMIT 1
    ) u`;
  const uses = new Map<string, { ofKey: Date; bySecret: Map<string, Date> }>();
  for (const { apiKeyId, secretId, lastUsedAt } of rows) {
    const known = uses.get(apiKeyId);
    if (known === undefined) {
      uses.set(apiKeyId, { ofKey: lastUsedAt, bySecret: new Map([[secretId, lastUsedAt]]) });
      continue;
    }
    known.bySecret.set(secretId, lastUsedAt);
    if (lastUsedAt > known.ofKey) known.ofKey = lastUsedAt;
  }
  return uses;
}
