import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg';
import { prismaDir } from './migrations.js';

export function readSchema(): Promise<string> {
  return readFile(join(prismaDir, 'schema.prisma'), 'utf8');
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
