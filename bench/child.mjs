import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * All child processes of the bench, to end them with it.
 * @type {Set<import('node:child_process').ChildProcess>}
 */
const children = new Set();
const stopMsMax = 20_000;

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** @param {import('node:child_process').ChildProcess} child */
export function track(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/**
 * Environment of a child process: no variable that would change its behaviour.
 * @param {Record<string, string>} added
 */
export function environment(added = {}) {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), NODE_ENV: 'production', ...added };
}

/**
 * Starts a script, and waits until it sends `{ ready: true, … }` over IPC.
 * @param {URL} script @param {object} settings passed in BENCH_SETTINGS as JSON
 * @returns {Promise<{ child: import('node:child_process').ChildProcess, ready: any }>}
 */
export async function startScript(script, settings = {}) {
  const child = track(
    fork(script, { env: environment({ BENCH_SETTINGS: JSON.stringify(settings) }), stdio: ['ignore', 2, 2, 'ipc'] }),
  );
  const [ready] = await Promise.race([once(child, 'message'), failsAtExit(child, script.pathname)]);
  return { child, ready };
}

/** Starts a program whose output goes to a file. */
export function startProgram(command, args, { output, ...options }) {
  return track(spawn(command, args, { stdio: ['ignore', output, output], ...options }));
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

/**
 * Retries an operation until it succeeds.
 * @template T
 * @param {() => Promise<T>} operation
 * @returns {Promise<T>}
 */
export async function until(operation, { tries = 600, everyMs = 50 } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await operation();
    } catch (error) {
      if (attempt >= tries) throw error;
      await sleep(everyMs);
    }
  }
}
