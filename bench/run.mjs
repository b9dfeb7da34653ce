// `npm run bench`: measures Tollkeeper and its peers in one run, and writes a report. See README.md.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createGroups } from './figures.mjs';
import { startGenerator } from './load/client.mjs';
import { describeCommit, describeMachine, measureFsync } from './machine.mjs';
import { measureGroup } from './measure.mjs';
import { openPostgresql } from './postgresql.mjs';
import { writeReport } from './report.mjs';
import { createSubjects } from './subjects.mjs';

const resultsPath = fileURLToPath(new URL('./RESULTS.md', import.meta.url));
const repository = fileURLToPath(new URL('..', import.meta.url));

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, out: { type: 'string' } },
});

const plan = options.quick
  ? { rounds: 1, seconds: 1, rampSeconds: 0.2, warmSeconds: 0.3, keys: { many: 1_000, few: 100, most: 1_000 } }
  : { rounds: 5, seconds: 4, rampSeconds: 0.5, warmSeconds: 5, keys: { many: 10_000, few: 1_000, most: 1_000_000 } };

process.exitCode = await run();

async function run() {
  const startedAt = new Date();
  const commit = describeCommit(repository);
  const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-bench-'));
  // PostgreSQL may run as another user, which must be able to enter the directory.
  chmodSync(directory, 0o711);
  const closing = [async () => rmSync(directory, { recursive: true, force: true })];
  let isInterrupted = false;
  let closed;
  const close = () => {
    closed ??= closing.reduceRight((before, step) => before.then(step), Promise.resolve());
    return closed;
  };
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      isInterrupted = true;
      process.stderr.write('interrupted: removing temporary databases and files\n');
      close().finally(() => process.exit(130));
    });
  }
  try {
    const groups = chooseGroups();
    const postgresql = await openPostgresql(directory);
    closing.push(() => postgresql.close());
    const generator = await startGenerator();
    closing.push(() => generator.stop());
    const subjects = createSubjects({ directory, postgresql, keys: plan.keys });

    const results = [];
    for (const group of groups) {
      results.push({ ...group, ...(await measureGroup(group, { subjects, generator, postgresql, plan })) });
    }
    const ledgers = [];
    for (const [name, data] of subjects.prepared) ledgers.push({ name, ...(await data.checkLedger()) });

    const report = writeReport({
      command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
      commit,
      machine: describeMachine(),
      fsyncMicros: measureFsync(directory),
      postgresql: await postgresql.describe(),
      plan,
      startedAt,
      results,
      ledgers,
      isPartial: options.quick || options.only !== undefined,
    });
    const path = options.out ?? (options.quick || options.only !== undefined ? null : resultsPath);
    if (path !== null) writeFileSync(path, report.text);
    process.stdout.write(report.text);
    return report.mistakes.length === 0 ? 0 : 1;
  } catch (error) {
    // After an interrupt, failures are expected.
    if (isInterrupted) return 130;
    throw error;
  } finally {
    await close();
  }
}

function chooseGroups() {
  const format = (count) => count.toLocaleString('en');
  const { many, few, most } = plan.keys;
  const all = createGroups({
    many: `${format(many)} keys in ${format(many / 10)} workspaces`,
    few: format(few),
    most: format(most),
  });
  if (options.only === undefined) return all;
  const wanted = new Set(options.only.split(','));
  const known = all.flatMap(({ figures }) => figures);
  for (const id of [...wanted]) {
    const figure = known.find((candidate) => candidate.id === id);
    if (figure === undefined) {
      throw new Error(`Unknown figure: ${id}. The figures are: ${known.map((candidate) => candidate.id).join(', ')}.`);
    }
    if (figure.atShareOf !== undefined) wanted.add(figure.atShareOf.of);
  }
  return all
    .map((group) => ({ ...group, figures: group.figures.filter(({ id }) => wanted.has(id)) }))
    .filter(({ figures }) => figures.length > 0);
}
