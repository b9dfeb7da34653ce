import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test as base, inject } from 'vitest';
import { ensureBuilt } from '../built.js';
import { createTestDatabase } from '../database.js';
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
  /** Puts a migrated, empty database into the folder. */
  embeddedDatabase: undefined;
  /** A migrated, empty database: in the folder, or on the PostgreSQL of this run. It is what points a process at it. */
  database: Variables;
  /** Starts a server on what is there, which is ready once this is back. @throws Error with what it wrote where it is not ready. */
  startProcess: (variables?: Variables) => Promise<ServerProcess>;
  /** As startProcess, on the database of the test. */
  startServer: (variables?: Variables) => Promise<ServerProcess>;
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
  embeddedDatabase: async ({ folder }, use) => {
    await cp(inject('migratedDataDir'), join(folder, dataFolder), { recursive: true });
    await use(undefined);
  },
  database: async ({ folder }, use) => {
    const template = inject('databaseTemplate');
    if (template.kind === 'embedded') {
      await cp(inject('migratedDataDir'), join(folder, dataFolder), { recursive: true });
      return use({});
    }
    const { databaseUrl, remove } = await createTestDatabase(template.templateName);
    await use({ DATABASE_URL: databaseUrl, TOLLKEEPER_ENCRYPTION_KEY: randomBytes(32).toString('base64') });
    await remove();
  },
  startProcess: async ({ folder }, use) => {
    const servers: ServerProcess[] = [];
    await use(async (variables = {}) => {
      const server = await startServer(folder, variables);
      servers.push(server);
      return server;
    });
    await Promise.all(servers.map((server) => server.end('SIGKILL')));
  },
  startServer: async ({ database, startProcess }, use) => {
    await use((variables = {}) => startProcess({ ...database, ...variables }));
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

/**
 * The flags of `npm start`, and two that leave out V8's optimizing compilers. Those take a third of a start, which pays off only for
 * processes that run for longer than a test.
 */
export const nodeFlags = ['--enable-source-maps', '--heap-growing-percent=30', '--no-opt', '--liftoff-only'];

/** Passes on only the part of the tests' environment that finds programs. */
function run(script: string, args: readonly string[], folder: string, variables: Variables): ChildProcess {
  ensureBuilt();
  return spawn(process.execPath, [...nodeFlags, script, ...args], {
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
  for (;;) {
    // Below those that systems give to connections which go out, so that none of them takes it before it is used.
    const port = randomInt(20_000, 30_000);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
