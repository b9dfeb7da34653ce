import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { inject } from 'vitest';
import type { Database } from '../src/db/database.js';
import { openDatabase } from '../src/db/open.js';
import { dropDatabase, runOnServer, withDatabase } from './postgresql.js';

/** Small, because several test files run concurrently and PostgreSQL accepts 100 connections by default. */
const poolSizeMax = 8;

/** Opens an embedded database without any tables, in memory. */
export async function openEmptyDatabase(): Promise<Database> {
  return openDatabase({ dataDir: null, snapshot: await readSnapshot(inject('emptySnapshotPath')) });
}

/**
 * Opens a separate, migrated, empty database: in memory, or on the PostgreSQL of DATABASE_URL. Closing it
 * removes it.
 */
export async function openTestDatabase(): Promise<Database> {
  const template = inject('databaseTemplate');
  if (template.kind === 'embedded') {
    return openDatabase({ dataDir: null, snapshot: await readSnapshot(template.snapshotPath) });
  }
  const { databaseUrl, remove } = await createTestDatabase(template.templateName);
  const database = await openDatabase({ databaseUrl, poolSizeMax });
  return {
    ...database,
    async close() {
      await database.close();
      await remove();
    },
  };
}

async function readSnapshot(path: string): Promise<Blob> {
  return new Blob([await readFile(path)]);
}

/** Creates a database on the PostgreSQL of DATABASE_URL, empty unless a template is named. */
export async function createTestDatabase(templateName = 'template1') {
  const template = inject('databaseTemplate');
  if (template.kind !== 'postgresql') throw new Error('This run has no PostgreSQL; set DATABASE_URL.');
  const { serverUrl, runName } = template;
  const name = `${runName}_${randomBytes(6).toString('hex')}`;
  await runOnServer(serverUrl, `CREATE DATABASE "${name}" TEMPLATE "${templateName}"`);
  return {
    databaseUrl: withDatabase(serverUrl, name),
    remove: () => dropDatabase(serverUrl, name),
  };
}
