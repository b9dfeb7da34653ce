import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test as base } from 'vitest';
import { Client } from '../harness.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const serverScript = join(root, 'dist/main.js');
const shellScript = join(root, 'dist/cli/main.js');

/** Where a server keeps its data unless told. */
const dataFolder = '.tollkeeper';

type Variables = Readonly<Record<string, string>>;

/** What a process printed and how it ended. `code` is null for one that a signal ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built server in a process of its own. */
export interface ServerProcess {
  readonly url: string;
  /** All that it wrote so far. */
  readonly stdout: () => string;
  readonly anonymous: Client;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Sends a signal, and leaves the process to what it does about it. */
  signal(name: NodeJS.Signals): void;
  /** Waits until it wrote a text. */
  said(text: string): Promise<void>;
  /** Waits for its end. */
  ended(): Promise<Ended>;
  /** Sends a signal and waits for the end. */
  end(name?: NodeJS.Signals): Promise<Ended>;
}

interface Fixtures {
  /** A new folder, in which the processes of the test run, so that their data and `.env` are its own. */
  folder: string;
  /** A data folder with a migrated, empty database, to copy: making one costs seconds. */
  migratedData: string;
  /** Starts a server, which is ready once this is back, in an empty folder on a database that is migrated. @throws Error with what it wrote where it is not ready. */
  startServer: (variables?: Variables) => Promise<ServerProcess>;
  /** As startServer, on nothing. */
  startServerOnNothing: (variables?: Variables) => Promise<ServerProcess>;
  /** Runs the server for as long as it takes to end by itself. */
  runServer: (variables?: Variables) => Promise<Ended>;
  /** Runs a command of the operator's shell. */
  runShell: (args: readonly string[], variables?: Variables) => Promise<Ended>;
}

/** A test with processes. Whatever it leaves running is ended, and its folder is removed. */
export const test = base.extend<Fixtures>({
  folder: async ({ task: _task }, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-process-'));
    await use(folder);
    await rm(folder, { recursive: true, force: true });
  },
  migratedData: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture needs.
    async ({}, use) => {
      const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-migrated-'));
      const { code, stderr } = await watch(run(shellScript, ['migrate'], folder, {})).ended;
      if (code !== 0) throw new Error(stderr);
      await use(join(folder, dataFolder));
      await rm(folder, { recursive: true, force: true });
    },
    { scope: 'worker' },
  ],
  startServerOnNothing: async ({ folder }, use) => {
    const servers: ServerProcess[] = [];
    await use(async (variables = {}) => {
      const server = await startServer(folder, variables);
      servers.push(server);
      return server;
    });
    await Promise.all(servers.map((server) => server.end('SIGKILL')));
  },
  startServer: async ({ folder, migratedData, startServerOnNothing }, use) => {
    await use(async (variables = {}) => {
      const data = join(folder, dataFolder);
      if (!existsSync(data)) await cp(migratedData, data, { recursive: true });
      return startServerOnNothing(variables);
    });
  },
  runServer: async ({ folder }, use) => {
    await use((variables = {}) => watch(run(serverScript, [], folder, variables)).ended);
  },
  runShell: async ({ folder }, use) => {
    await use((args, variables = {}) => watch(run(shellScript, args, folder, variables)).ended);
  },
});

/** Starting takes a second; on a busy machine with others beside it, many. */
export const patience = { timeout: 240_000 };

const readyMsMax = 100_000;
const lookEveryMs = 20;

async function startServer(folder: string, variables: Variables): Promise<ServerProcess> {
  const port = variables.PORT ?? String(await freePort());
  const url = `http://127.0.0.1:${port}`;
  const child = run(serverScript, [], folder, { ...variables, PORT: port });
  const { ended, stdout } = watch(child);
  const fetchHere = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init);
  const server: ServerProcess = {
    url,
    stdout,
    anonymous: new Client(fetchHere, {}),
    fetch: fetchHere,
    signal: (name) => void child.kill(name),
    async said(text) {
      const giveUpAt = Date.now() + readyMsMax;
      while (!stdout().includes(text)) {
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`The server ended before it said "${text}": ${JSON.stringify(await ended)}`);
        }
        if (Date.now() > giveUpAt) throw new Error(`The server did not say "${text}": ${stdout()}`);
        await sleep(lookEveryMs);
      }
    },
    ended: () => ended,
    end(name = 'SIGTERM') {
      child.kill(name);
      return ended;
    },
  };
  try {
    await server.said('Tollkeeper is ready');
    return server;
  } catch (error) {
    await server.end('SIGKILL');
    throw error;
  }
}

/** Of the environment of the tests, only what finds programs. */
function run(script: string, args: readonly string[], folder: string, variables: Variables): ChildProcess {
  if (!existsSync(script)) execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
  return spawn(process.execPath, [script, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function watch(child: ChildProcess): { ended: Promise<Ended>; stdout: () => string } {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  // `close` comes once all that it wrote has been read.
  const ended = once(child, 'close').then(([code]: (number | null)[]) => ({ code: code ?? null, stdout, stderr }));
  return { ended, stdout: () => stdout };
}

/** A port that nobody had a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('A server on a port has one.');
  return address.port;
}
