import { median } from './load/summary.mjs';
import { connections } from './measure.mjs';
import { verifyOne } from './requests.mjs';
import { targets } from './targets.mjs';

/** If other programs use more cores than this, the results are unreliable. */
const othersCoresMax = 0.1;

/** Summary of one figure: medians over its rounds. */
function summarizeFigure(figure, { rounds, acknowledged, errors, problems, requestBytes }) {
  const middle = (read) => median(rounds.map(read));
  const size = figure.request?.size ?? 1;
  const perSecond = middle((round) => round.perSecond);
  const microsPerRequest = (party) => middle(({ cpu, perSecond: rate }) => (cpu[party] / rate) * 1e6);
  return {
    ...figure,
    size,
    perSecond,
    checksPerSecond: perSecond * size,
    p50Ms: middle((round) => round.p50Ms),
    p99Ms: middle((round) => round.p99Ms),
    rounds,
    serverMicros: microsPerRequest('server'),
    postgresqlMicros: microsPerRequest('postgresql'),
    generatorMicros: microsPerRequest('generator'),
    othersCores: middle(({ cpu }) => cpu.others),
    residentMb: Math.max(...rounds.map((round) => (round.residentBytes ?? 0) / 1e6)),
    acknowledged,
    errors,
    problems,
    requestBytes,
  };
}

/**
 * @returns {{ text: string, mistakes: string[] }} the results in Markdown, and the errors that invalidate
 *   them
 */
export function writeReport({ results, ledgers, ...run }) {
  const groups = results.map(({ title, figures, measured, skipped }) => ({
    title,
    skipped,
    figures: figures.flatMap((figure) => {
      const found = measured.get(figure.id);
      return found === undefined ? [] : [summarizeFigure(figure, found)];
    }),
  }));
  const all = groups.flatMap(({ figures }) => figures);
  const byId = new Map(all.map((figure) => [figure.id, figure]));
  const mistakes = findMistakes(all, ledgers);
  const text = [
    '# Benchmark results',
    '',
    ...(run.isPartial
      ? ['> This run was quick or partial. It shows that the bench works; its numbers are not meaningful.', '']
      : []),
    'Written by `npm run bench`. [README.md](README.md) explains how to read it.',
    '',
    ...describeRun(run, all),
    '',
    '## Targets',
    '',
    ...describeTargets(byId),
    '',
    '## Against the peers',
    '',
    ...describePeers(byId),
    ...groups.flatMap(({ title, figures, skipped }) => [
      '',
      `## ${title}`,
      '',
      ...describeGroup(figures, skipped, byId),
    ]),
    '',
    '## Rounds',
    '',
    'Requests per second in each round. In parentheses: cores that other programs used, if more than 0.1.',
    '',
    ...describeRounds(all),
    '',
    '## Ledger check',
    '',
    ...describeLedgers(ledgers, all),
    ...(mistakes.length === 0 ? [] : ['', '## Errors', '', ...mistakes.map((mistake) => `- ${mistake}`)]),
    '',
  ].join('\n');
  return { text, mistakes };
}

function describeRun({ command, commit, machine, fsyncMicros, postgresql, plan, startedAt }, all) {
  const { query } = verifyOne({ charges: true }).body;
  const bytes = all.find(({ id }) => id.startsWith('charge'))?.requestBytes;
  const total = format(plan.rounds * plan.seconds);
  return [
    '| | |',
    '|---|---|',
    `| machine | ${machine} |`,
    `| commit | ${commit} |`,
    `| command | \`${command}\` |`,
    `| date | ${startedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC |`,
    `| Node | ${process.version} |`,
    `| PostgreSQL | ${postgresql.version}, ${postgresql.origin} |`,
    `| PostgreSQL settings | ${postgresql.settings} |`,
    `| disk | fsync of an 8 KB page takes ${format(fsyncMicros)} µs (median) |`,
    `| load | ${connections} keep-alive connections, closed loop by default; the generator shares the machine |`,
    `| time | ${format(plan.warmSeconds)} s of warm-up, then ${plan.rounds} round(s) of ${format(plan.seconds)} s each: ${total} s per figure |`,
    `| Tollkeeper | as \`npm start\` runs it, with LOG_LEVEL=warn, no Redis, a product without rate limits |`,
    `| document | \`${query}\`${bytes ? `, ${format(bytes)} bytes with variables and HTTP headers` : ''} |`,
  ];
}

function describeTargets(byId) {
  const rows = targets.map((target) => {
    const found = measureTarget(target, byId);
    const wanted = target.atLeast === undefined ? `at most ${target.atMost}` : `at least ${target.atLeast}`;
    const limit = target.unit === '×' ? `${wanted} ×` : `${wanted} ${target.unit}`;
    if (found === null) return `| ${target.what} | ${limit} | | | not measured |`;
    const isMet = target.atLeast === undefined ? found.value <= target.atMost : found.value >= target.atLeast;
    const value = `${target.unit === 'MB' ? found.value.toFixed(0) : found.value.toFixed(2)} ${target.unit}`;
    return `| ${target.what} | ${limit} | ${value} | ${found.raw} | ${isMet ? 'met' : '**not met**'} |`;
  });
  return ['| target | limit | measured | raw | |', '|---|---|---|---|---|', ...rows];
}

/** @returns {{ value: number, raw: string } | null} */
function measureTarget({ ratio, p99Of, of, subjects }, byId) {
  if (of === 'residentMemory') return measureMemory([...byId.values()], subjects);
  if (p99Of !== undefined) {
    const figure = byId.get(p99Of);
    return figure === undefined ? null : { value: figure.p99Ms, raw: `at ${format(figure.perSecond)}/s` };
  }
  const [subject, peer] = ratio.map((id) => byId.get(id));
  if (subject === undefined || peer === undefined) return null;
  return {
    value: subject.checksPerSecond / peer.checksPerSecond,
    raw: `${format(subject.checksPerSecond)}/s to ${format(peer.checksPerSecond)}/s`,
  };
}

/** Tollkeeper's figures and the peers that each is compared with. */
const comparisons = {
  verify: ['bare-http', 'yoga', 'mercurius', 'better-auth'],
  charge: ['bare-http', 'yoga', 'mercurius', 'better-auth', 'statement-many-wallets'],
  'charge-one-workspace': ['statement-one-wallet'],
};

function describePeers(byId) {
  const rows = Object.entries(comparisons).flatMap(([id, peers]) =>
    peers.flatMap((peerId) => {
      const figure = byId.get(id);
      const peer = byId.get(peerId);
      if (figure === undefined || peer === undefined) return [];
      const ratio = (figure.perSecond / peer.perSecond).toFixed(2);
      return [
        `| ${figure.title} | ${format(figure.perSecond)} | ${peer.title} | ${format(peer.perSecond)} | ${ratio} × |`,
      ];
    }),
  );
  return ['| Tollkeeper | requests/s | peer | requests/s | ratio |', '|---|--:|---|--:|--:|', ...rows];
}

/** Maximum resident memory of a process of these subjects, over all figures. @param {string[]} subjects */
function measureMemory(all, subjects) {
  const figures = all.filter(({ isTollkeeper, subject }) => isTollkeeper && subjects.includes(subject));
  const [most] = figures.toSorted((a, b) => b.residentMb - a.residentMb);
  if (most === undefined) return null;
  const ofSingleCalls = Math.max(...figures.filter(({ size }) => size === 1).map(({ residentMb }) => residentMb));
  return {
    value: most.residentMb,
    raw: `in ${most.title}${most.size > 1 ? `; ${format(ofSingleCalls)} MB over the figures with one verification per request` : ''}`,
  };
}

function describeGroup(figures, skipped, byId) {
  const rows = figures.map((figure) => {
    const peer = byId.get(figure.against);
    const ratio =
      peer === undefined
        ? ''
        : `${(figure.checksPerSecond / peer.checksPerSecond).toFixed(2)} × ${peer.id} (${format(peer.checksPerSecond)}/s)`;
    const rate =
      figure.size === 1
        ? format(figure.perSecond)
        : `${format(figure.perSecond)} = ${format(figure.checksPerSecond)} keys/s`;
    const cells = [
      figure.title,
      `\`${figure.id}\``,
      rate,
      ratio,
      figure.p50Ms.toFixed(1),
      figure.p99Ms.toFixed(1),
      figure.errors,
      format(figure.serverMicros),
      format(figure.postgresqlMicros),
      format(figure.generatorMicros),
      format(figure.residentMb),
      `${figure.othersCores.toFixed(2)}${figure.othersCores > othersCoresMax ? ' ⚠' : ''}`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| figure | id | requests/s | ratio | p50 ms | p99 ms | errors | server µs | PostgreSQL µs | generator µs | memory MB | others, cores |',
    '|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...rows,
    ...[...skipped].flatMap(([id, reason]) => ['', `\`${id}\` was skipped. ${reason}`]),
  ];
}

function describeRounds(all) {
  return [
    '| figure | requests/s |',
    '|---|---|',
    ...all.map(({ id, rounds }) => `| \`${id}\` | ${rounds.map(describeRound).join(', ')} |`),
  ];
}

function describeRound({ perSecond, cpu }) {
  return `${format(perSecond)}${cpu.others > othersCoresMax ? ` (⚠ ${cpu.others.toFixed(1)})` : ''}`;
}

function describeLedgers(ledgers, all) {
  return [
    '| database | charges in the ledger | acknowledged | balances that differ from the sum of their entries |',
    '|---|--:|--:|--:|',
    ...ledgers.map(({ name, charges, wrongBalances }) => {
      const acknowledged = acknowledgedIn(name, all);
      return `| ${name} | ${format(charges)} | ${format(acknowledged)} | ${wrongBalances} |`;
    }),
  ];
}

/** The database of each subject. */
const databases = {
  tollkeeper: 'main',
  'tollkeeper-logging': 'main',
  'tollkeeper-twice': 'main',
  'tollkeeper-embedded': 'embedded',
  'tollkeeper-few': 'few',
  'tollkeeper-most': 'most',
};

function acknowledgedIn(database, all) {
  return all
    .filter(({ subject, request }) => databases[subject] === database && request?.charges)
    .reduce((sum, { acknowledged, size }) => sum + acknowledged * size, 0);
}

function findMistakes(all, ledgers) {
  const failed = all
    .filter(({ errors }) => errors > 0)
    .map(({ id, errors, problems }) => `${id}: ${errors} errors, such as ${JSON.stringify(problems[0] ?? '')}`);
  const idle = all.filter(({ perSecond }) => !(perSecond > 0)).map(({ id }) => `${id}: no answers`);
  const wrong = ledgers
    .filter(({ wrongBalances }) => wrongBalances > 0)
    .map(({ name, wrongBalances }) => `${name}: ${wrongBalances} balances differ from the sum of their entries`);
  const lost = ledgers
    .filter(({ name, charges }) => charges !== acknowledgedIn(name, all))
    .map(
      ({ name, charges }) =>
        `${name}: ${charges} charges in the ledger, but ${acknowledgedIn(name, all)} were acknowledged`,
    );
  return [...failed, ...idle, ...wrong, ...lost];
}

/** @param {number} value */
function format(value) {
  return Number.isFinite(value) ? Number(value.toFixed(value < 10 ? 1 : 0)).toLocaleString('en') : '–';
}
