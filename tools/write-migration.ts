import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { migrationsDir } from '../src/db/migrations.js';
import { findDrift } from './drift.js';

/** The time in UTC as Prisma's names of migrations begin: 20261120103000. */
function stampOf(time: Date): string {
  return time.toISOString().replace(/\D/g, '').slice(0, 14);
}

/** `write-migration <name>` writes the next migration; `write-migration --check` fails if one is missing. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { check: { type: 'boolean' } } });
  const [name] = positionals;
  if (!values.check && (name === undefined || !/^[a-z][a-z0-9_]*$/.test(name))) {
    console.error('Name the migration in lower case, such as add_expiry, or pass --check.');
    process.exitCode = 2;
    return;
  }
  const script = await findDrift();
  if (script === null) {
    console.log('The migrations match prisma/schema.prisma.');
  } else if (values.check) {
    console.error(`The migrations do not match prisma/schema.prisma. Missing:\n\n${script}`);
    process.exitCode = 1;
  } else {
    const folder = join(migrationsDir, `${stampOf(new Date())}_${name}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'migration.sql'), script);
    console.log(`Written: ${join(folder, 'migration.sql')}`);
  }
}

await main();
