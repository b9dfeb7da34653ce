import { expect, test } from 'vitest';
import { transaction } from '../../src/db/transaction.js';
import { releaseExpiredHolds } from '../../src/domain/credits/settle.js';
import { anOrganization, aPerson, createApiKey } from '../factories.js';
import { startServer } from '../harness.js';

test('the search for expired holds uses an index and does not scan charges without a hold', async () => {
  // A database of its own: expired holds of other tests would be released in the measured transaction.
  const server = await startServer({ database: 'own' });
  const owner = await aPerson(server);
  const workspaceId = await anOrganization(owner);
  const { apiKey } = await createApiKey(owner.client, { workspaceId, name: 'busy', product: 'default' });
  const { db } = server.services;
  await db.$executeRaw`
    INSERT INTO "Charge" ("id", "workspaceId", "apiKeyId", "product", "action", "quantity", "credits", "balanceAfter", "state")
    SELECT 'chg_' || lpad(to_hex(n), 32, '0'), ${workspaceId}, ${apiKey.id}, 'default', 'request', 1, 0, 0, 'POSTED'
    FROM generate_series(1, 20000) AS i(n)`;
  await db.$executeRaw`ANALYZE "Charge"`;
  const scans = await transaction(db, async (tx) => {
    await releaseExpiredHolds({ ...server.services, db: tx as typeof db });
    const [counted] = await tx.$queryRaw<{ scans: bigint }[]>`
      SELECT "seq_scan" AS "scans" FROM pg_stat_xact_user_tables WHERE "relname" = 'Charge'`;
    return counted?.scans;
  });
  expect(scans).toBe(0n);
});
