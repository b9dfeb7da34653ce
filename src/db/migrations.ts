import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder `prisma` of the project. It is found from `src`, from `dist` and from `dist-tools`. */
export const prismaDir = findPrismaDir();
export const migrationsDir = join(prismaDir, 'migrations');
const functionsDir = join(prismaDir, 'functions');

function findPrismaDir(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const candidate = join(folder, 'prisma');
    if (existsSync(join(candidate, 'schema.prisma'))) return candidate;
    if (folder === dirname(folder)) throw new Error(`No folder prisma with a schema.prisma was found above ${start}.`);
  }
}

/** An SQL script. Names of migrations sort by time. */
export interface Script {
  readonly name: string;
  readonly script: string;
}

/** The migrations of this version, oldest first. */
export async function listMigrations(): Promise<Script[]> {
  const entries = await readdir(migrationsDir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return readScripts(names, (name) => join(migrationsDir, name, 'migration.sql'));
}

/** The SQL functions of this version: one file each, named like the function. */
export async function listFunctions(): Promise<Script[]> {
  const files = await readdir(functionsDir);
  const names = files.filter((file) => file.endsWith('.sql')).map((file) => file.slice(0, -'.sql'.length));
  return readScripts(names, (name) => join(functionsDir, `${name}.sql`));
}

function readScripts(names: string[], pathOf: (name: string) => string): Promise<Script[]> {
  return Promise.all(names.sort().map(async (name) => ({ name, script: await readFile(pathOf(name), 'utf8') })));
}

/** SHA-256 in hexadecimal: Prisma's checksum of a migration, and the version of a function. */
export function hashScript({ script }: Script): string {
  return createHash('sha256').update(script).digest('hex');
}
