import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/db/open.js';
import { migrationsDir } from '../../src/db/schema-engine.js';
import { findRecordedResult } from '../../src/domain/commands/keys-of-inputs.js';

test('a payment that was granted before its key was hashed is not granted again', async () => {
  const names = (await readdir(migrationsDir)).filter((name) => /^\d/.test(name)).sort();
  const scripts = await Promise.all(
    names.map(async (name) => ({ name, script: await readFile(join(migrationsDir, name, 'migration.sql'), 'utf8') })),
  );
  const hashing = scripts.findIndex(({ name }) => name.endsWith('_idempotency'));
  const database = await openDatabase({ dataDir: null });
  try {
    await database.exclusively(async (transaction) => {
      for (const { script } of scripts.slice(0, hashing)) await transaction.executeScript(script);
      await transaction.executeScript(`
        INSERT INTO "IdempotencyRecord" ("workspaceId", "operation", "key", "resultId")
        VALUES ('wsp_1', 'grantCredits', 'invoice-17', 'led_1')`);
    });
    await database.exclusively(async (transaction) => {
      for (const { script } of scripts.slice(hashing)) await transaction.executeScript(script);
    });
    const granted = { workspaceId: 'wsp_1', operation: 'grantCredits', key: 'invoice-17' };
    expect(await findRecordedResult(database.db, granted)).toBe('led_1');
    expect(await findRecordedResult(database.db, { ...granted, operation: 'refundCharge' })).toBeNull();
    expect(await findRecordedResult(database.db, { ...granted, workspaceId: 'wsp_2' })).toBeNull();
  } finally {
    await database.close();
  }
});
