import { join } from 'node:path';
import { adapterWithin, type ScriptTransaction } from '../src/db/adapter.js';
import { migrate } from '../src/db/migrate.js';
import { prismaDir } from '../src/db/migrations.js';
import { openDatabase } from '../src/db/open.js';
import { noFilters, readSchema, schemaEngineOn } from './schema-engine.js';

/**
 * Prisma's schema cannot express partial indexes, and the engine mistakes them for ordinary ones: it would
 * drop those that the schema does not name, or accept one in place of an @@index. So they are removed before
 * the comparison. The engine does not see checks and triggers.
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

/** Relations of the schema that have no foreign key in the database; the initial migration explains why. */
const restoreForeignKeys = `
  ALTER TABLE "Charge"
    ADD CONSTRAINT "Charge_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    ADD CONSTRAINT "Charge_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
  ALTER TABLE "LedgerEntry"
    ADD CONSTRAINT "LedgerEntry_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    ADD CONSTRAINT "LedgerEntry_chargeId_fkey" FOREIGN KEY ("chargeId") REFERENCES "Charge"("id") ON DELETE SET NULL ON UPDATE CASCADE`;

/**
 * The SQL that the migrations lack to produce the database of prisma/schema.prisma, or null. It applies them
 * to an embedded database in memory, so it needs no server.
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
