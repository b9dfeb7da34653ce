import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg';

/** Prisma's folder, beside src and beside dist alike. */
export const prismaDir = findPrismaDir();
export const migrationsDir = join(prismaDir, 'migrations');

function findPrismaDir(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, 'prisma');
    if (existsSync(join(candidate, 'schema.prisma'))) return candidate;
    if (folder === dirname(folder)) throw new Error(`No folder prisma with a schema.prisma stands above ${start}.`);
  }
}

export interface Migration {
  name: string;
  script: string;
}

/** The migrations that this version of the server brings along, oldest first. */
export async function listMigrations(): Promise<Migration[]> {
  const entries = await readdir(migrationsDir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => ({
      name,
      script: await readFile(join(migrationsDir, name, 'migration.sql'), 'utf8'),
    })),
  );
}

export function readSchema(): Promise<string> {
  return readFile(join(prismaDir, 'schema.prisma'), 'utf8');
}

/** The migrations in the words of the schema engine. */
export function toMigrationList(migrations: readonly Migration[]): MigrationList {
  return {
    baseDir: migrationsDir,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, script }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: script } },
    })),
  };
}

/** Nothing of the database is managed outside the schema. */
export const noFilters = { externalTables: [], externalEnums: [] };

/**
 * Prisma's schema engine, as WebAssembly, on one connection: the engine that `prisma migrate` runs as a native binary,
 * which cannot be downloaded everywhere. Whoever asks for it frees it.
 */
export async function schemaEngineOn(connection: SqlDriverAdapter): Promise<SchemaEngine> {
  await loadEngine();
  const factory = bindMigrationAwareSqlAdapterFactory({
    provider: connection.provider,
    adapterName: connection.adapterName,
    connect: () => Promise.resolve(connection),
    connectToShadowDb: () => Promise.reject(new Error('This engine has one connection and no shadow database.')),
  });
  const datamodels: [string, string][] = [['schema.prisma', await readSchema()]];
  return glue.SchemaEngine.new({ datamodels }, () => undefined, factory);
}

/** The little of WebAssembly that is used here; Node's own types leave it to those of browsers. */
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

let loading: Promise<void> | undefined;

function loadEngine(): Promise<void> {
  loading ??= instantiateEngine();
  return loading;
}

async function instantiateEngine(): Promise<void> {
  const gluePath = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(join(dirname(gluePath), 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': withoutLingering(glue) });
  glue.__wbg_set_wasm(instance.exports);
  const start = instance.exports.__wbindgen_start;
  if (typeof start !== 'function')
    throw new Error('The schema engine has no entry point; its version is not the one that is locked.');
  start();
}

/** The engine never clears the ten-second timer of its own lock, which would keep a process alive that has done its work. */
function withoutLingering(imports: object): object {
  const isTimer = ([name]: [string, unknown]) => name.startsWith('__wbg_setTimeout_');
  const setTimer = (work: () => void, delayMs: number) => setTimeout(work, delayMs >>> 0).unref();
  return Object.fromEntries(Object.entries(imports).map((entry) => (isTimer(entry) ? [entry[0], setTimer] : entry)));
}
