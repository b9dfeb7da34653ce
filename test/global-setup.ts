import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import type { Database } from '../src/db/database.js';
import { migrate } from '../src/db/migrate.js';
import { openDatabase } from '../src/db/open.js';
import { dropDatabases, runOnServer, withDatabase } from './postgresql.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const cacheFolder = join(root, 'node_modules/.cache/tollkeeper');

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
 * Provides a migrated database; each test copies it. With DATABASE_URL the tests create their own
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
    return () => Promise.resolve();
  }
  const onServer = await makeTemplateDatabase(serverUrl);
  provide('databaseTemplate', onServer.template);
  return onServer.remove;
}

/**
 * Creating and migrating an embedded database takes longer than most test files, so the result is kept for as
 * long as nothing that it depends on changes.
 */
async function makeDataFolder() {
  const folder = join(cacheFolder, `embedded-${await hashInputs()}`);
  const files = {
    dataDir: join(folder, 'data'),
    emptySnapshotPath: join(folder, 'empty.tar'),
    snapshotPath: join(folder, 'migrated.tar'),
  };
  if (existsSync(folder)) return files;
  await mkdir(cacheFolder, { recursive: true });
  const unfinished = await mkdtemp(join(cacheFolder, 'unfinished-'));
  const database = await openDatabase({ dataDir: join(unfinished, 'data') });
  await writeSnapshot(database, join(unfinished, 'empty.tar'));
  await migrate(database);
  await writeSnapshot(database, join(unfinished, 'migrated.tar'));
  await database.close();
  // Of several runs that do this at once, one succeeds, and the others use its folder.
  await rename(unfinished, folder).catch(() => rm(unfinished, { recursive: true }));
  await removeOutdated(folder);
  return files;
}

/** Of the migrations, the functions, the code that applies them, and the version of PGlite. */
async function hashInputs(): Promise<string> {
  const hash = createHash('sha256');
  for (const input of ['package-lock.json', 'prisma/migrations', 'prisma/functions', 'src/db']) {
    const path = join(root, input);
    const files = (await stat(path)).isDirectory() ? await listFiles(path) : [path];
    for (const file of files) hash.update(`${file.slice(root.length)}\0`).update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 16);
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** A run that uses an outdated folder has begun before the change, so the folder is left for a day. */
async function removeOutdated(current: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    const folder = join(cacheFolder, name);
    if (folder === current || !/^(embedded|unfinished)-/.test(name)) continue;
    if (Date.now() - (await stat(folder)).mtimeMs > 86_400_000) await rm(folder, { recursive: true, force: true });
  }
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
