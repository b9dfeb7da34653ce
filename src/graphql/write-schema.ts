import { readFile, writeFile } from 'node:fs/promises';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { buildSchema } from './schema.js';

// A developer's script: prints the schema to schema.graphql, or with --check fails where the file differs.
const path = new URL('../../schema.graphql', import.meta.url);
const printed = `${printSchema(lexicographicSortSchema(buildSchema({ mutationsPerMinute: 60 })))}\n`;

if (!process.argv.includes('--check')) {
  await writeFile(path, printed);
} else if ((await readFile(path, 'utf8').catch(() => '')) !== printed) {
  process.stderr.write('schema.graphql differs from the code. Run `npm run schema:write` and commit it.\n');
  process.exitCode = 1;
}
