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

/** The default data folder of a server. */
const dataFolder = '.tollkeeper';

type Variables = Readonly<Record<string, string>>;

/** Output and exit code of a process. `code` is null if a signal ended it. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built server in a separate process. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Its output so far. */
  readonly stdout: () => string;
  readonly anonymous: Client;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Sends a signal without waiting. */
  signal(name: NodeJS.Signals): void;
  /** Waits until its output contains a text. */
  said(text: string): Promise<void>;
  /** Waits until it exits. */
  ended(): Promise<Ended>;
  /** Sends a signal and waits until it exits. */
  end(name?: NodeJS.Signals): Promise<Ended>;
}

interface Fixtures {
  /** A new working folder for the processes of the test, with its own data and `.env`. */
  folder: string;
  /** Puts a migrated, empty database into the folder. */
  embeddedDatabase: undefined;
  /** The variables of a migrated, empty database in the folder or on the PostgreSQL of this run. */
  database: Variables;
  /**
   * Starts a server and waits until it is ready. @throws Error with its output if it does not become ready.
   */
  startProcess: (variables?: Variables) => Promise<ServerProcess>;
  /** Like startProcess, on the database of the test. */
  startServer: (variables?: Variables) => Promise<ServerProcess>;
  /** Runs the server until it exits by itself. */
  runServer: (variables?: Variables) => Promise<Ended>;
  /** Runs the tollkeeper command. */
  runShell: (args: readonly string[], variables?: Variables) => Promise<Ended>;
}

/** A test with processes. Processes that still run at its end are killed, and its folder is removed. */
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

/** A start takes a second, and many on a busy machine. */
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
    pid: child.pid ?? 0,
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
 * The flags of `npm start`. Except in measurements, two more disable the optimizing compilers of V8. These
 * take a third of the start, which pays off only for processes that run longer than a test.
 */
export const nodeFlags = [
  '--enable-source-maps',
  '--heap-growing-percent=30',
  ...(process.env.TEST_MEASURE === 'true' ? [] : ['--no-opt', '--liftoff-only']),
];

/** Passes on only PATH from the environment of the tests. */
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
  // `close` is emitted after all output has been read.
  const ended = once(child, 'close').then(([code]: (number | null)[]) => ({ code: code ?? null, stdout, stderr }));
  return { ended, stdout: () => stdout };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    // Below the ephemeral ports, so that no outgoing connection takes it before it is used.
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
