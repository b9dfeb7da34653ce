import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test as base, expect, inject } from 'vitest';
import { newId } from '../../src/db/ids.js';
import { lockDataDir } from '../../src/db/lock.js';
import { openDatabase } from '../../src/db/open.js';
import { StartError } from '../../src/errors.js';
import { ensureBuilt } from '../built.js';

const test = base.extend<{ dataDir: string; startHolder: (userId?: string) => Promise<Holder> }>({
  dataDir: async ({ task: _task }, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-lock-'));
    await use(folder);
    await rm(folder, { recursive: true, force: true });
  },
  startHolder: async ({ dataDir }, use) => {
    const holders: Holder[] = [];
    await use(async (userId) => {
      const holder = await startHolder(dataDir, userId);
      holders.push(holder);
      return holder;
    });
    for (const holder of holders) await holder.end('SIGKILL');
  },
});

interface Holder {
  /** The first line of its output. */
  said: string;
  pid: number;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/**
 * Starts another process that locks the folder and, with `userId`, writes that user. Resolves once it holds
 * the lock or is refused.
 */
async function startHolder(dataDir: string, userId?: string): Promise<Holder> {
  ensureBuilt();
  const script = fileURLToPath(new URL('lock-holder.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, dataDir, ...(userId ? [userId] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(createInterface(child.stdout), 'line');
  return {
    said: String(said),
    pid: child.pid ?? 0,
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}

/** Writes the lock files that a killed holder leaves behind. */
async function leaveLock(dataDir: string, holder: object) {
  await mkdir(join(dataDir, 'database.lock'));
  await writeFile(join(dataDir, 'database.lock.json'), JSON.stringify(holder));
}

async function msUntil(work: Promise<unknown>): Promise<number> {
  const startedAt = Date.now();
  await work;
  return Date.now() - startedAt;
}

async function readHolder(dataDir: string): Promise<object> {
  return JSON.parse(await readFile(join(dataDir, 'database.lock.json'), 'utf8'));
}

test('a second holder in the same process is refused immediately until the first closes', async ({ dataDir }) => {
  await cp(inject('migratedDataDir'), dataDir, { recursive: true });
  const database = await openDatabase({ dataDir });
  const refused = expect(openDatabase({ dataDir })).rejects;
  expect(
    await msUntil(refused.toThrow(new RegExp(`in use by process ${process.pid} on .* set DATABASE_URL`))),
  ).toBeLessThan(2_000);
  await expect(openDatabase({ dataDir })).rejects.toThrow(StartError);

  await database.close();
  await (await openDatabase({ dataDir })).close();
});

test('a second process is refused with an error that names the holding process', async ({ dataDir, startHolder }) => {
  const release = await lockDataDir(dataDir);
  const second = await startHolder();
  expect(second.said).toMatch(new RegExp(`^StartError: .* in use by process ${process.pid} on .* set DATABASE_URL`));
  await release();
});

test('after kill -9 of its holder a folder is free immediately and contains what the holder wrote', async ({
  dataDir,
  startHolder,
}) => {
  await cp(inject('migratedDataDir'), dataDir, { recursive: true });
  const userId = newId('user');
  const holder = await startHolder(userId);
  await expect(openDatabase({ dataDir })).rejects.toThrow(`in use by process ${holder.pid}`);

  await holder.end('SIGKILL');
  const taken = lockDataDir(dataDir);
  expect(await msUntil(taken)).toBeLessThan(2_000);
  await (await taken)();

  const database = await openDatabase({ dataDir });
  expect(await database.db.user.findUnique({ where: { id: userId } })).not.toBeNull();
  await database.close();
});

test('a holder that ends on SIGTERM removes its lock', async ({ dataDir, startHolder }) => {
  const holder = await startHolder();
  expect(await readdir(dataDir)).toContain('database.lock');
  await holder.end('SIGTERM');
  expect(await readdir(dataDir)).toEqual([]);
});

test('exactly one of several concurrent openers takes over the lock of a killed holder', async ({
  dataDir,
  startHolder,
}) => {
  const holder = await startHolder();
  await holder.end('SIGKILL');
  const outcomes = await Promise.allSettled([dataDir, dataDir, dataDir, dataDir].map(lockDataDir));
  const taken = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  expect(taken).toHaveLength(1);
  for (const { value: release } of taken) await release();
});

test.runIf(process.platform === 'linux')('a reused pid does not count as the holder', async ({ dataDir }) => {
  const release = await lockDataDir(dataDir);
  const holder = await readHolder(dataDir);
  await release();

  await leaveLock(dataDir, { ...holder, startedAt: '1' });
  const taken = lockDataDir(dataDir);
  expect(await msUntil(taken)).toBeLessThan(2_000);
  await (await taken)();
});

test('a holder on another host keeps the folder while it refreshes its lock', async ({ dataDir }) => {
  const release = await lockDataDir(dataDir);
  const elsewhere = { ...(await readHolder(dataDir)), host: `not-${hostname()}` };
  await writeFile(join(dataDir, 'database.lock.json'), JSON.stringify(elsewhere));
  await expect(lockDataDir(dataDir)).rejects.toThrow(`on not-${hostname()}`);
  await release();
});

test('a holder on another host loses the folder after ten seconds without a refresh', async ({ dataDir }) => {
  await leaveLock(dataDir, { pid: 1, host: `not-${hostname()}`, startedAt: '1', pidSpace: 'another' });
  const taken = lockDataDir(dataDir);
  expect(await msUntil(taken)).toBeGreaterThan(9_000);
  await (await taken)();
});
