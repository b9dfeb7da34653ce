import { join } from 'node:path';
import { adapterWithin, type ScriptTransaction } from './adapter.js';
import { migrate } from './migrate.js';
import { prismaDir } from './migrations.js';
import { openDatabase } from './open.js';
import { noFilters, readSchema, schemaEngineOn } from './schema-engine.js';

/**
 * Prisma's schema has no word for partial indexes, so the engine takes them for ordinary ones: it would drop those that
 * the schema does not name, or believe that one satisfies an @@index. They are written by hand and left out here. Checks
 * and triggers it does not see at all.
 */
const dropPartialIndexes = `
  DO $$
  DECLARE partial regclass;
  BEGIN
    FOR partial IN SELECT indexrelid FROM pg_index WHERE indpred IS NOT NULL AND indrelid::regclass::text NOT LIKE 'pg_%'
    LOOP
      EXECUTE format('DROP INDEX %s', partial);
    END LOOP;
  END $$`;

/** Relations of the schema that the database does not check; the migration that drops their constraints says why. */
const restoreForeignKeys = `
  ALTER TABLE "Charge"
    ADD CONSTRAINT "Charge_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    ADD CONSTRAINT "Charge_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
  ALTER TABLE "LedgerEntry"
    ADD CONSTRAINT "LedgerEntry_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    ADD CONSTRAINT "LedgerEntry_chargeId_fkey" FOREIGN KEY ("chargeId") REFERENCES "Charge"("id") ON DELETE SET NULL ON UPDATE CASCADE`;

/**
 * What is missing in the migrations for them to give the database of prisma/schema.prisma: SQL, or null where nothing is
 * missing. It applies them to an embedded database in memory, so it needs no server.
 */
export async function findDrift(): Promise<string | null> {
  const database = await openDatabase({ dataDir: null });
  try {
    await migrate(database);
    return await database.exclusively(diff);
  } finally {
    await database.close();
  }
}

async function diff(transaction: ScriptTransaction): Promise<string | null> {
  await transaction.executeScript(dropPartialIndexes);
  await transaction.executeScript(restoreForeignKeys);
  const schema = { path: join(prismaDir, 'schema.prisma'), content: await readSchema() };
  const engine = await schemaEngineOn(adapterWithin(transaction));
  try {
    const { stdout } = await engine.diff({
      from: { tag: 'schemaDatasource', files: [schema], configDir: prismaDir },
      to: { tag: 'schemaDatamodel', files: [schema] },
      script: true,
      exitCode: null,
      filters: noFilters,
    });
    // An empty script is a comment.
    return stdout === null || /^(\s*--.*)?\s*$/.test(stdout) ? null : stdout;
  } finally {
    engine.free();
  }
}
