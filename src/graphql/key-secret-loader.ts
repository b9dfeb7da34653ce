import DataLoader from 'dataloader';
import type { Db } from '../db/transaction.js';
import type { KeySecret } from '../generated/prisma/client.js';

/** What may be shown of a secret. */
export type ShownSecret = Pick<KeySecret, 'preview' | 'createdAt' | 'lastUsedAt' | 'retiresAt'>;

interface KeyOfWorkspace {
  readonly id: string;
  readonly workspaceId: string;
}

/** The most secrets of one key that are shown. */
export const secretsMax = 20;

/** The newest secrets of many keys in one statement, newest first. */
export function secretsLoader(db: Db): DataLoader<KeyOfWorkspace, ShownSecret[], string> {
  return new DataLoader<KeyOfWorkspace, ShownSecret[], string>(
    async (keys) => {
      const secrets = await db.$queryRaw<(ShownSecret & { apiKeyId: string })[]>`
        SELECT k.id AS "apiKeyId", s."preview", s."createdAt", s."lastUsedAt", s."retiresAt"
        FROM unnest(${keys.map(({ id }) => id)}::text[], ${keys.map(({ workspaceId }) => workspaceId)}::text[]) AS k(id, workspace_id)
        CROSS JOIN LATERAL (
          SELECT * FROM "KeySecret" WHERE "workspaceId" = k.workspace_id AND "apiKeyId" = k.id ORDER BY "id" DESC LIMIT ${secretsMax}
        ) s`;
      const byKey = new Map<string, ShownSecret[]>(keys.map(({ id }) => [id, []]));
      for (const { apiKeyId, ...secret } of secrets) byKey.get(apiKeyId)?.push(secret);
      return keys.map(({ id }) => byKey.get(id) ?? []);
    },
    { cacheKeyFn: ({ id }) => id },
  );
}
