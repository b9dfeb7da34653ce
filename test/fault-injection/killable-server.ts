import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { nodeFlags } from '../process/server-process.js';

const serverScript = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The built server in a process that a test kills. */
export interface KillableServer {
  /** Resolves to its URL once it serves. @throws Error with its output if it exits before */
  readonly ready: Promise<string>;
  /** Sends SIGKILL and waits until the process has exited. @throws Error if it had exited by itself */
  kill(): Promise<void>;
}

export function startKillableServer(folder: string, variables: Readonly<Record<string, string>>): KillableServer {
  const child = spawn(process.execPath, [...nodeFlags, serverScript], {
    cwd: folder,
    // The system chooses the port, so that no other process can take it first.
    env: { PATH: process.env.PATH, ...variables, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gone = once(child, 'close');
  // For a test that fails before it kills the server.
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const ready = new Promise<string>((resolve, reject) => {
    const read = (chunk: string) => {
      stdout += chunk;
      const port = findPort(stdout);
      if (port === null) return;
      // The rest of the log, one line per request, is discarded.
      child.stdout.off('data', read).resume();
      resolve(`http://127.0.0.1:${port}`);
    };
    child.stdout.setEncoding('utf8').on('data', read);
    gone.then(() => reject(new Error(`A server ended before it served: ${stdout}${stderr}`)), reject);
  });
  // A test that kills it early may never await `ready`.
  ready.catch(() => undefined);
  return {
    ready,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`A server ended by itself: ${stderr}`);
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** The port in the log line "Tollkeeper is ready", or null. */
function findPort(stdout: string): string | null {
  const line = stdout.split('\n').find((text) => text.endsWith('"msg":"Tollkeeper is ready"}'));
  return /"port":(\d+)/.exec(line ?? '')?.[1] ?? null;
}
