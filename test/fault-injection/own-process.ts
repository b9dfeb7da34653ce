import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A program that a test started for itself. */
export interface OwnProcess {
  readonly child: ChildProcess;
  hasEnded(): boolean;
  /** Sends a signal and waits until it exits. */
  end(signal: NodeJS.Signals): Promise<void>;
}

const endMsMax = 30_000;

/** Starts a program that logs to a file. It is killed when the process of the tests exits. */
export function startOwn(program: string, args: readonly string[], logPath: string, options: SpawnOptions): OwnProcess {
  const log = openSync(logPath, 'a');
  const child = spawn(program, args, { ...options, stdio: ['ignore', log, log] });
  closeSync(log);
  const ended = once(child, 'exit');
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const endWithTests = () => void child.kill('SIGKILL');
  process.once('exit', endWithTests);
  void ended.then(() => process.off('exit', endWithTests));
  return {
    child,
    hasEnded,
    async end(signal) {
      if (hasEnded()) return;
      child.kill(signal);
      const isOver = await Promise.race([ended.then(() => true), sleep(endMsMax, false, { ref: false })]);
      if (isOver) return;
      child.kill('SIGKILL');
      throw new Error(`${program} did not end within ${endMsMax} ms of a ${signal}.`);
    },
  };
}

const readyMsMax = 60_000;
const lookEveryMs = 25;

/**
 * Starts a program and waits until `isReady` does not throw. A program that exits is started again, because
 * the port and the shared memory of a killed predecessor are released with a delay.
 */
export async function startUntilReady(
  start: () => OwnProcess,
  isReady: () => Promise<unknown>,
  logPath: string,
): Promise<OwnProcess> {
  const giveUpAt = Date.now() + readyMsMax;
  let own = start();
  for (;;) {
    const failure: unknown = await isReady().then(
      () => null,
      (error: unknown) => error,
    );
    if (failure === null && !own.hasEnded()) return own;
    if (Date.now() > giveUpAt) {
      await own.end('SIGKILL');
      throw new Error(`It is not ready: ${readFileSync(logPath, 'utf8').slice(-2_000)}`, { cause: failure });
    }
    await sleep(lookEveryMs);
    if (own.hasEnded()) own = start();
  }
}
