import DataLoader from 'dataloader';
import type { Db } from '../db/transaction.js';
import type { KeySecret } from '../generated/prisma/client.js';

/** What may be shown of a secret. */
export type ShownSecret = Pick<KeySecret, 'preview' | 'createdAt' | 'lastUsedAt' | 'retiresAt'>;

interface KeyOfWorkspace {
  readonly id: string;
  readonly workspaceId: string;
}

export interface SecretsOfKey {
  /** The newest first, at most {@link secretsMax}. */
  readonly newest: readonly ShownSecret[];
  /** The last use of any secret, also of one that is not shown any more. */
  readonly lastUsedAt: Date | null;
}

/** The most secrets of one key that are shown. */
export const secretsMax = 20;

/** The secrets of many keys in one statement. */
export function secretsLoader(db: Db): DataLoader<KeyOfWorkspace, SecretsOfKey, string> {
  return new DataLoader<KeyOfWorkspace, SecretsOfKey, string>(
    async (keys) => {
      const rows = await db.$queryRaw<(ShownSecret & { apiKeyId: string; lastUseOfKey: Date | null })[]>`
        SELECT s."apiKeyId", s."preview", s."createdAt", s."lastUsedAt", s."retiresAt", s."lastUseOfKey"
        FROM unnest(${keys.map(({ id }) => id)}::text[], ${keys.map(({ workspaceId }) => workspaceId)}::text[]) AS k(id, workspace_id)
        CROSS JOIN LATERAL (
          SELECT *, max("lastUsedAt") OVER () AS "lastUseOfKey" FROM "KeySecret"
          WHERE "workspaceId" = k.workspace_id AND "apiKeyId" = k.id
          ORDER BY "id" DESC LIMIT ${secretsMax}
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
