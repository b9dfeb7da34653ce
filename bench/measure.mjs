import { runWindow } from './load/client.mjs';
import { median } from './load/summary.mjs';
import { readCpu, residentBytes } from './machine.mjs';
import { templateOf } from './requests.mjs';
import { listMutations } from './tollkeeper.mjs';

/** Number of concurrent connections. */
export const connections = 64;
const memorySampleMs = 200;

/**
 * @typedef {import('./load/summary.mjs').Summary & {
 *   acknowledged: number, errors: number, problems: string[],
 *   cpu: { server: number, generator: number, postgresql: number, others: number },
 *   residentBytes: number | null,
 * }} Round
 */
/**
 * @typedef {{ rounds: Round[], acknowledged: number, errors: number, problems: string[], requestBytes: number
 *   | null }} Measured over all rounds and the warm-up
 */

/**
 * Measures the figures of a group in turns: after a warm-up of each figure, every round has one window per
 * figure. So a temporary disturbance of the machine affects all of them.
 * @returns {Promise<{ measured: Map<string, Measured>, skipped: Map<string, string> }>}
 */
export async function measureGroup(group, { subjects, generator, postgresql, plan }) {
  const started = new Map();
  const measured = new Map();
  const skipped = new Map();
  process.stderr.write(`\n${group.title}\n`);
  try {
    for (const { subject } of group.figures) {
      if (!started.has(subject)) started.set(subject, await subjects.start(subject));
    }
    const figures = [];
    for (const figure of group.figures) {
      const [port] = started.get(figure.subject).ports;
      if (figure.needs !== undefined && !(await listMutations(port)).includes(figure.needs)) {
        skipped.set(figure.id, `The schema has no ${figure.needs}.`);
      } else {
        figures.push(figure);
        measured.set(figure.id, { rounds: [], acknowledged: 0, errors: 0, problems: [], requestBytes: null });
      }
    }
    const window = async (figure, seconds, rampSeconds) => {
      const subject = started.get(figure.subject);
      const round = await measureWindow(figure, subject, { generator, postgresql, seconds, rampSeconds, measured });
      const all = measured.get(figure.id);
      all.acknowledged += round.acknowledged;
      all.errors += round.errors;
      all.problems.push(...round.problems);
      all.requestBytes = round.requestBytes;
      return round;
    };
    for (const figure of figures) if (figure.atShareOf === undefined) await window(figure, plan.warmSeconds, 0);
    await postgresql.checkpoint();
    for (let round = 1; round <= plan.rounds; round += 1) {
      for (const figure of figures) {
        const result = await window(figure, plan.seconds, plan.rampSeconds);
        measured.get(figure.id).rounds.push(result);
        const { perSecond, p50Ms, p99Ms, errors, cpu } = result;
        process.stderr.write(
          `${round}/${plan.rounds} ${figure.id}: ${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${errors} errors, others used ${cpu.others.toFixed(2)} cores\n`,
        );
      }
    }
  } finally {
    for (const subject of started.values()) await subject.stop();
  }
  return { measured, skipped };
}

async function measureWindow(figure, subject, { generator, postgresql, seconds, rampSeconds, measured }) {
  const pids = {
    server: subject.pids,
    generator: subject.ownLoad === undefined ? [generator.pid] : [],
    postmaster: postgresql.pid,
  };
  let before = null;
  let after = null;
  let resident = null;
  const sample = () => {
    for (const pid of subject.pids) resident = Math.max(resident ?? 0, residentBytes(pid) ?? 0);
  };
  const timer = setInterval(sample, memorySampleMs);
  const onBegin = () => {
    before = readCpu(pids);
  };
  const onEnd = () => {
    after = readCpu(pids);
    sample();
  };
  const order = orderFor(figure, subject, measured, { seconds, rampSeconds });
  const result =
    subject.ownLoad === undefined
      ? await generator.run(order, { onBegin, onEnd })
      : await runWindow(subject.ownLoad, order, { onBegin, onEnd });
  clearInterval(timer);
  return {
    ...result,
    requestBytes: order.template?.text.length ?? null,
    residentBytes: resident,
    cpu: coresUsed(before, after, result.seconds),
  };
}

function orderFor(figure, subject, measured, { seconds, rampSeconds }) {
  const common = { connections: figure.connections ?? connections, seconds, rampSeconds };
  if (subject.ownLoad !== undefined) return { ...common, wallets: figure.wallets };
  const population = figure.population === undefined ? null : subject.populations[figure.population];
  return {
    ...common,
    template: templateOf(figure.request, population?.secretLength ?? 0),
    population,
    expect: figure.request.expect,
    ports: subject.ports,
    ratePerSecond: rateFor(figure, measured),
  };
}

function rateFor({ atShareOf }, measured) {
  if (atShareOf === undefined) return null;
  const { rounds } = measured.get(atShareOf.of);
  return atShareOf.share * median(rounds.map(({ perSecond }) => perSecond));
}

/**
 * Number of cores that each party used in the window. `others` is everything else on the machine; it should
 * be near zero.
 */
function coresUsed(before, after, seconds) {
  const used = (party) => (after[party] - before[party]) / seconds;
  const cores = { server: used('server'), generator: used('generator'), postgresql: used('postgresql') };
  const others = used('machine') - used('bench') - cores.server - cores.generator - cores.postgresql;
  return { ...cores, others: Math.max(0, others) };
}
