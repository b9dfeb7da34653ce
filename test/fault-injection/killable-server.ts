import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { nodeFlags } from '../process/server-process.js';

const serverScript = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The built server in a process that is made to be killed. */
export interface KillableServer {
  /** Its address as soon as it serves. @throws Error with what it wrote where it ended before */
  readonly ready: Promise<string>;
  /** kill -9, wherever it is. It is back once the process is gone. @throws Error where it had ended by itself */
  kill(): Promise<void>;
}

export function startKillableServer(folder: string, variables: Readonly<Record<string, string>>): KillableServer {
  const child = spawn(process.execPath, [...nodeFlags, serverScript], {
    cwd: folder,
    // The system chooses the port, so that nobody else can have taken it meanwhile.
    env: { PATH: process.env.PATH, ...variables, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gone = once(child, 'close');
  // For a test that fails in the middle.
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
      // One line per request follows, which nobody needs.
      child.stdout.off('data', read).resume();
      resolve(`http://127.0.0.1:${port}`);
    };
    child.stdout.setEncoding('utf8').on('data', read);
    gone.then(() => reject(new Error(`A server ended before it served: ${stdout}${stderr}`)), reject);
  });
  // Whoever kills it early may never look.
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

/** The port that the line says which tells that it is ready. */
function findPort(stdout: string): string | null {
  const line = stdout.split('\n').find((text) => text.endsWith('"msg":"Tollkeeper is ready"}'));
  return /"port":(\d+)/.exec(line ?? '')?.[1] ?? null;
}
