// The load generator: a process of its own, so that its processor time is measured separately. It receives
// orders as messages (see client.mjs), and stays alive between them, so that its code is compiled once.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.mjs';
import { summarize } from './summary.mjs';

/** @typedef {{ file: string, secretLength: number }} Population a file of secrets, one after the other */
/**
 * @typedef {object} Order
 * @property {import('./template.mjs').Template} template
 * @property {Population | null} population
 * @property {{ text: string, count: number }[]} expect
 * @property {number[]} ports connections are distributed evenly over them
 * @property {number} connections
 * @property {number} rampSeconds not counted
 * @property {number} seconds counted
 * @property {number | null} ratePerSecond null: each connection sends when it has its response (closed loop).
 *   Otherwise requests are due at this fixed rate, regardless of the server, and latency starts when they are
 *   due (open loop).
 */

/** A window without a single response is extended until there is one, up to this maximum. */
const windowSecondsMax = 60;
const drainMsMax = 35_000;

const files = new Map();
const now = () => performance.now();
let uniques = 0;

process.on('message', (order) => {
  run(order).then(
    (result) => process.send({ kind: 'result', result }),
    (error) => process.send({ kind: 'failure', message: String(error?.stack ?? error) }),
  );
});
process.on('disconnect', () => process.exit());

/** @param {Order} order */
async function run({ template, population, expect, ports, connections: size, rampSeconds, seconds, ratePerSecond }) {
  const nextSecret = drawFrom(population);
  const nextUnique = () => {
    uniques += 1;
    return uniques;
  };
  const latencies = [];
  const free = [];
  const overdue = [];
  const problems = [];
  let acknowledged = 0;
  let errors = 0;
  let completed = 0;
  let beginAt = Number.POSITIVE_INFINITY;
  let endAt = Number.POSITIVE_INFINITY;
  let isStopping = false;

  const onAnswer = (connection, dueAt, problem) => {
    const at = now();
    if (problem === null) acknowledged += 1;
    else {
      errors += 1;
      if (problems.length < 3) problems.push(problem);
    }
    if (at >= beginAt && at < endAt) completed += 1;
    // In an open loop a request counts in the window in which it was due. Slow ones are answered after it.
    const belongsAt = ratePerSecond === null ? at : dueAt;
    if (belongsAt >= beginAt && belongsAt < endAt) latencies.push(at - dueAt);
    if (ratePerSecond === null) {
      if (!isStopping) connection.send(now());
    } else if (overdue.length > 0) connection.send(overdue.shift());
    else free.push(connection);
  };
  const connections = Array.from(
    { length: size },
    (_, index) =>
      new Connection({ port: ports[index % ports.length], template, nextSecret, nextUnique, expect, onAnswer }),
  );
  await Promise.all(connections.map((connection) => connection.open()));

  let schedule = null;
  if (ratePerSecond === null) for (const connection of connections) connection.send(now());
  else {
    free.push(...connections);
    schedule = startSchedule(ratePerSecond, (dueAt) => {
      const connection = free.shift();
      if (connection === undefined) overdue.push(dueAt);
      else connection.send(dueAt);
    });
  }
  const watch = setInterval(() => {
    for (const connection of connections) connection.giveUpIfOverdue(now());
  }, 1_000);

  await sleep(rampSeconds * 1_000);
  process.send({ kind: 'begin' });
  const cpuBefore = process.cpuUsage();
  beginAt = now();
  await sleep(seconds * 1_000);
  while (completed === 0 && errors === 0 && now() - beginAt < windowSecondsMax * 1_000) await sleep(50);
  endAt = now();
  const cpu = process.cpuUsage(cpuBefore);
  process.send({ kind: 'end' });
  isStopping = true;
  schedule?.stop();
  const drainUntil = now() + drainMsMax;
  while ((overdue.length > 0 || connections.some(({ isBusy }) => isBusy)) && now() < drainUntil) await sleep(10);
  clearInterval(watch);
  for (const connection of connections) connection.close();
  return {
    ...summarize({ latencies, completed, seconds: (endAt - beginAt) / 1_000 }),
    acknowledged,
    errors,
    problems,
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

/**
 * Calls back once for each request that is due. Requests that became due since the last call are late, and
 * their latency includes this.
 */
function startSchedule(ratePerSecond, onDue) {
  const startAt = now();
  let count = 0;
  let timer = null;
  const tick = () => {
    for (let dueAt = startAt + (count * 1_000) / ratePerSecond; dueAt <= now(); ) {
      onDue(dueAt);
      count += 1;
      dueAt = startAt + (count * 1_000) / ratePerSecond;
    }
    timer = setTimeout(tick, 1);
  };
  tick();
  return { stop: () => clearTimeout(timer) };
}

/** Draws keys at random, with equal probability. @param {Population | null} population */
function drawFrom(population) {
  if (population === null) return () => Buffer.alloc(0);
  const { file, secretLength } = population;
  if (!files.has(file)) files.set(file, readFileSync(file));
  const secrets = files.get(file);
  const count = secrets.length / secretLength;
  return () => {
    const at = Math.floor(Math.random() * count) * secretLength;
    return secrets.subarray(at, at + secretLength);
  };
}

process.send({ ready: true });
