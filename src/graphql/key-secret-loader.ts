import DataLoader from 'dataloader';
import type { Db } from '../db/transaction.js';
import type { KeySecret } from '../generated/prisma/client.js';

interface KeyOfWorkspace {
  readonly id: string;
  readonly workspaceId: string;
}

export interface SecretsOfKey {
  /** The newest first, at most {@link secretsMax}. */
  readonly newest: readonly KeySecret[];
  /** The last use of any secret, also of one that is not shown any more. */
  readonly lastUsedAt: Date | null;
}

/** The most secrets of one key that are shown. */
export const secretsMax = 20;

/** The secrets of many keys in one statement. */
export function secretsLoader(db: Db): DataLoader<KeyOfWorkspace, SecretsOfKey, string> {
  return new DataLoader<KeyOfWorkspace, SecretsOfKey, string>(
    async (keys) => {
      const rows = await db.$queryRaw<(KeySecret & { lastUseOfKey: Date | null })[]>`
        SELECT s.*
        FROM unnest(${keys.map(({ id }) => id)}::text[], ${keys.map(({ workspaceId }) => workspaceId)}::text[]) AS k(id, workspace_id)
        CROSS JOIN LATERAL (
          SELECT *, max("lastUsedAt") OVER () AS "lastUseOfKey" FROM "KeySecret"
          WHERE "workspaceId" = k.workspace_id AND "apiKeyId" = k.id
          -- The one without an end is the newest, whatever the clocks of the processes that made them said.
          ORDER BY "retiresAt" IS NULL DESC, "id" DESC LIMIT ${secretsMax}
        ) s`;
      const rowsOf = new Map(keys.map(({ id }): [string, typeof rows] => [id, []]));
      for (const row of rows) rowsOf.get(row.apiKeyId)?.push(row);
      return keys.map(({ id }) => {
        const newest = rowsOf.get(id) ?? [];
        return { newest, lastUsedAt: newest[0]?.lastUseOfKey ?? null };
      });
    },
    { cacheKeyFn: ({ id }) => id },
  );
}
