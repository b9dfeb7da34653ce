import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg';
import { migrationsDir, prismaDir, type Script } from '../src/db/migrations.js';

export function readSchema(): Promise<string> {
  return readFile(join(prismaDir, 'schema.prisma'), 'utf8');
}

/** Migrations as the schema engine takes them. */
export function toMigrationList(migrations: readonly Script[]): MigrationList {
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

/** Excludes nothing: the schema describes every table and enum. */
export const noFilters = { externalTables: [], externalEnums: [] };

/**
 * Prisma's schema engine, as WebAssembly, on one connection. `prisma migrate` runs the same engine as a
 * native binary, which cannot be downloaded on every network. For development only: the server applies
 * migrations without it. The caller frees it.
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

/** The part of WebAssembly that is used here: only the types of browsers declare it. */
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
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': withoutPendingTimer(glue) });
  glue.__wbg_set_wasm(instance.exports);
  const start = instance.exports.__wbindgen_start;
  if (typeof start !== 'function')
    throw new Error('The schema engine has no entry point; its version is not the one that is locked.');
  start();
}

/** The engine never clears the ten-second timer of its own lock, which would keep the process running. */
function withoutPendingTimer(imports: object): object {
  const isTimer = ([name]: [string, unknown]) => name.startsWith('__wbg_setTimeout_');
  const setTimer = (work: () => void, delayMs: number) => setTimeout(work, delayMs >>> 0).unref();
  return Object.fromEntries(Object.entries(imports).map((entry) => (isTimer(entry) ? [entry[0], setTimer] : entry)));
}
