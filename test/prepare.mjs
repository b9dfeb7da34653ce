// Builds what the tests need: the Prisma client, dist/, and the types of the GraphQL documents of the tests.
// A step is skipped if its inputs are unchanged since it last succeeded and its output exists. `npm run
// build` and `npm run codegen` always run.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stampFolder = join(root, 'node_modules/.cache/tollkeeper');

const startedAt = performance.now();
console.log('Preparing the tests: Prisma client, dist/, document types …');
await runStep('Prisma client', {
  command: ['npm', 'run', '--silent', 'generate'],
  inputs: ['prisma/schema.prisma', 'prisma.config.ts', 'package-lock.json'],
  output: 'src/generated',
});
await Promise.all([
  runStep('dist/', {
    command: [join(root, 'node_modules/.bin/tsc'), '-p', 'tsconfig.build.json'],
    inputs: [
      'tsconfig.json',
      'tsconfig.build.json',
      'package-lock.json',
      'prisma/schema.prisma',
      ...filesIn('src', ''),
    ],
    output: 'dist',
  }),
  runStep('document types', {
    command: [join(root, 'node_modules/.bin/graphql-codegen'), '--silent'],
    inputs: ['schema.graphql', 'codegen.ts', 'package-lock.json', ...filesIn('test', '.ts').filter(hasDocuments)],
    output: 'test/generated',
  }),
]);
console.log(`Prepared in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s.`);

/** Runs a command if its inputs have changed. Exits with its exit code if it fails. */
async function runStep(name, { command: [program, ...args], inputs, output }) {
  const stamp = join(stampFolder, `${name.replaceAll(/\W+/g, '-')}.sha256`);
  const hash = hashOf(inputs);
  if (existsSync(join(root, output)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  const child = spawn(program, args, { cwd: root, stdio: 'inherit' });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) {
    console.error(`The tests cannot run: ${name} failed.`);
    process.exit(code ?? 1);
  }
  mkdirSync(stampFolder, { recursive: true });
  writeFileSync(stamp, hash);
}

function hashOf(paths) {
  const hash = createHash('sha256').update(process.version);
  for (const path of paths) hash.update(`${path}\0`).update(readFileSync(join(root, path)));
  return hash.digest('hex');
}

/** Paths of the files in a folder and its subfolders, except generated ones. */
function filesIn(folder, ending) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((path) => !path.includes('generated'))
    .sort();
}

function hasDocuments(path) {
  return readFileSync(join(root, path), 'utf8').includes('graphql(');
}
