import { type Keyset, readNestedPages, toPrismaPage } from '../../db/keyset.js';
import type { Db } from '../../db/transaction.js';
import { type ApiKey, type KeySecret, Prisma } from '../../generated/prisma/client.js';
import type { Environment } from '../../generated/prisma/enums.js';
import type { Principal } from '../access/principal.js';
import { visibleApiKeys } from '../access/visibility.js';
import { type ApiKeyStatus, hasStatus } from './status.js';

/** Conditions that listed keys meet. Omitted ones are ignored. */
export interface ApiKeyFilter {
  readonly workspaceId?: string | null | undefined;
  /** The status that the keys have now. */
  readonly status?: ApiKeyStatus | null | undefined;
  readonly product?: string | null | undefined;
  readonly environment?: Environment | null | undefined;
}

/** A page of the keys that are visible to the principal. */
export function listApiKeys(
  db: Db,
  principal: Principal,
  { workspaceId, status, product, environment }: ApiKeyFilter,
  page: Keyset,
  now: Date,
): Promise<ApiKey[]> {
  const conditions: Prisma.ApiKeyWhereInput = {
    ...(workspaceId != null && { workspaceId }),
    ...(status != null && hasStatus(status, now)),
    ...(product != null && { product }),
    ...(environment != null && { environment }),
  };
  return db.apiKey.findMany(toPrismaPage(page, { AND: [visibleApiKeys(principal), conditions] }));
}

/** A page of the keys of each workspace. Empty for an API key, which can see only itself. */
export async function listApiKeysOf(
  db: Db,
  principal: Principal,
  workspaceIds: readonly string[],
  page: Keyset,
): Promise<Map<string, ApiKey[]>> {
  if (principal.kind === 'apiKey') return new Map();
  const rows = Prisma.sql`SELECT "id" FROM "ApiKey" WHERE "workspaceId" = p."id" AND "deletedAt" IS NULL`;
  return readNestedPages(db, rows, workspaceIds, page, (query) => db.apiKey.findMany(query));
}

/** Maximum number of secrets of one key that are listed. */
export const secretsMax = 20;

/**
 * The newest secrets of each key, at most {@link secretsMax}, in one statement. Keys without secrets are
 * left out.
 */
export async function readSecretsOf(
  db: Db,
  keys: readonly Pick<ApiKey, 'id' | 'workspaceId'>[],
): Promise<Map<string, KeySecret[]>> {
  const rows = await db.$queryRaw<KeySecret[]>`
    SELECT s.*
    FROM unnest(${keys.map(({ id }) => id)}::text[], ${keys.map(({ workspaceId }) => workspaceId)}::text[]) AS k(id, workspace_id)
    CROSS JOIN LATERAL (
      SELECT * FROM "KeySecret"
      WHERE "workspaceId" = k.workspace_id AND "apiKeyId" = k.id
      -- The secret that does not retire is the newest. Ids alone depend on the clocks of several processes.
      ORDER BY "retiresAt" IS NULL DESC, "id" DESC LIMIT ${secretsMax}
    ) s`;
  const secrets = new Map<string, KeySecret[]>();
  for (const row of rows) {
    const known = secrets.get(row.apiKeyId);
    if (known === undefined) secrets.set(row.apiKeyId, [row]);
    else known.push(row);
  }
  return secrets;
}

/** Preview and creation time of the current signing secret of each key. Keys without one are left out. */
export async function readSigningSecretsOf(
  db: Db,
  apiKeyIds: readonly string[],
): Promise<Map<string, { readonly preview: string; readonly createdAt: Date }>> {
  const secrets = await db.signingSecret.findMany({
    where: { apiKeyId: { in: [...apiKeyIds] }, retiresAt: null },
    select: { apiKeyId: true, preview: true, createdAt: true },
  });
  return new Map(secrets.map(({ apiKeyId, ...shown }) => [apiKeyId, shown]));
}
