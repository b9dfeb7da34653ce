import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Every child process of the bench, so that none outlives it. @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
const stopMsMax = 20_000;

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** @param {import('node:child_process').ChildProcess} child */
export function keep(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** What a child of the bench sees of the environment: nothing that would change how it works. @param {Record<string, string>} added */
export function environment(added = {}) {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), NODE_ENV: 'production', ...added };
}

/**
 * Starts a script that says over IPC when it is ready, as `{ ready: true, … }`.
 * @param {URL} script @param {object} settings handed over in BENCH_SETTINGS as JSON
 * @returns {Promise<{ child: import('node:child_process').ChildProcess, ready: any }>}
 */
export async function startScript(script, settings = {}) {
  const child = keep(
    fork(script, { env: environment({ BENCH_SETTINGS: JSON.stringify(settings) }), stdio: ['ignore', 2, 2, 'ipc'] }),
  );
  const [ready] = await Promise.race([once(child, 'message'), failsAtExit(child, script.pathname)]);
  return { child, ready };
}

/** Starts a program whose output goes to a file. */
export function startProgram(command, args, { output, ...options }) {
  return keep(spawn(command, args, { stdio: ['ignore', output, output], ...options }));
}

/** @param {import('node:child_process').ChildProcess} child @param {string} name @returns {Promise<never>} */
export async function failsAtExit(child, name, outputPath = null) {
  const [code, signal] = await once(child, 'exit');
  const output = outputPath === null ? '' : `\n${readFileSync(outputPath, 'utf8').slice(-2_000)}`;
  throw new Error(`${name} ended too early (${code ?? signal}).${output}`);
}

/** @param {import('node:child_process').ChildProcess} child */
export async function stop(child, signal = 'SIGTERM') {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
  await ended;
  clearTimeout(timer);
}

/** Asks again and again until an answer comes. @template T @param {() => Promise<T>} ask @returns {Promise<T>} */
export async function until(ask, { tries = 600, everyMs = 50 } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (attempt >= tries) throw error;
      await sleep(everyMs);
    }
  }
}
