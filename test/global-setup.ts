import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { Database } from '../src/db/database.js';
import { migrate } from '../src/db/migrate.js';
import { openDatabase } from '../src/db/open.js';
import { dropDatabases, runOnServer, withDatabase } from './postgresql.js';

/** The migrated database that the tests of this run copy. */
export type DatabaseTemplate =
  | { kind: 'embedded'; snapshotPath: string }
  | { kind: 'postgresql'; serverUrl: string; runName: string; templateName: string };

declare module 'vitest' {
  export interface ProvidedContext {
    databaseTemplate: DatabaseTemplate;
    /**
     * Snapshot of an embedded database without tables. Loading it takes a quarter of the time of creating
     * one.
     */
    emptySnapshotPath: string;
    /** A data folder with a migrated, empty embedded database. No process has it open; tests copy it. */
    migratedDataDir: string;
  }
}

/**
 * Migrates once per run; each test then copies the result. With DATABASE_URL the tests create their own
 * databases on that PostgreSQL and do not use the database that it names. Without it they run on the embedded
 * database, in memory.
 */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const serverUrl = process.env.DATABASE_URL;
  console.log(`Migrating a database on ${serverUrl ? 'the PostgreSQL of DATABASE_URL' : 'the embedded PGlite'} …`);
  const embedded = await makeDataFolder();
  provide('migratedDataDir', embedded.dataDir);
  provide('emptySnapshotPath', embedded.emptySnapshotPath);
  if (!serverUrl) {
    provide('databaseTemplate', { kind: 'embedded', snapshotPath: embedded.snapshotPath });
    return embedded.remove;
  }
  const onServer = await makeTemplateDatabase(serverUrl);
  provide('databaseTemplate', onServer.template);
  return async () => {
    await Promise.all([embedded.remove(), onServer.remove()]);
  };
}

async function makeDataFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-test-'));
  const dataDir = join(folder, 'data');
  const emptySnapshotPath = join(folder, 'empty.tar');
  const snapshotPath = join(folder, 'migrated.tar');
  const database = await openDatabase({ dataDir });
  await writeSnapshot(database, emptySnapshotPath);
  await migrate(database);
  await writeSnapshot(database, snapshotPath);
  await database.close();
  const remove = () => rm(folder, { recursive: true, force: true });
  return { dataDir, emptySnapshotPath, snapshotPath, remove };
}

async function writeSnapshot(database: Database, path: string): Promise<void> {
  const snapshot = await database.dump?.();
  if (!snapshot) throw new Error('An embedded database can be dumped.');
  await writeFile(path, Buffer.from(await snapshot.arrayBuffer()));
}

async function makeTemplateDatabase(
  serverUrl: string,
): Promise<{ template: DatabaseTemplate; remove: () => Promise<void> }> {
  const runName = `tollkeeper_test_${randomBytes(4).toString('hex')}`;
  const templateName = `${runName}_template`;
  await runOnServer(serverUrl, `CREATE DATABASE "${templateName}"`);
  // A failed test may leave its database behind; the name of the run finds it.
  const remove = () => dropDatabases(serverUrl, runName);
  try {
    const database = await openDatabase({ databaseUrl: withDatabase(serverUrl, templateName) });
    await migrate(database);
    await database.close();
  } catch (error) {
    await remove();
    throw error;
  }
  return { template: { kind: 'postgresql', serverUrl, runName, templateName }, remove };
}
