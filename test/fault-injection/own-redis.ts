import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../process/server-process.js';
import { type OwnProcess, startOwn, startUntilReady } from './own-process.js';
import { findRedis } from './programs.js';

/** A Redis or Valkey that a test may kill or suspend at any time. It does not persist data. */
export interface OwnRedis {
  readonly url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Suspends it: it accepts connections but does not respond. */
  hang(): void;
  resume(): void;
  close(): Promise<void>;
}

export async function openRedis(): Promise<OwnRedis> {
  const program = findRedis();
  if (program === null) throw new Error('There is no Redis to start.');
  const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-faults-redis-'));
  const logPath = join(folder, 'log');
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const launch = () =>
    startOwn(program, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], logPath, {
      cwd: folder,
    });
  const start = () => startUntilReady(launch, () => ping(url), logPath);
  let own: OwnProcess = await start();
  return {
    url,
    async start() {
      own = await start();
    },
    kill: () => own.end('SIGKILL'),
    hang: () => void own.child.kill('SIGSTOP'),
    resume: () => void own.child.kill('SIGCONT'),
    async close() {
      await own.end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ping(url: string): Promise<void> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: null, connectTimeout: 2_000 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}
