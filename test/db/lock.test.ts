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
  /** The first line that it wrote. */
  said: string;
  pid: number;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** Another process that locks the folder, and with `userId` writes that user; it is back once that one holds on, or was refused. */
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

/** What a holder leaves that was killed, in the words of the lock. */
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

test('a second holder in the same process is refused at once, until the first one closes', async ({ dataDir }) => {
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

test('another process is refused, and told who holds the folder', async ({ dataDir, startHolder }) => {
  const release = await lockDataDir(dataDir);
  const second = await startHolder();
  expect(second.said).toMatch(new RegExp(`^StartError: .* in use by process ${process.pid} on .* set DATABASE_URL`));
  await release();
});

test('a folder is free at once after kill -9 of its holder, and what that one wrote is there', async ({
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

test('a holder that ends in good order leaves no lock', async ({ dataDir, startHolder }) => {
  const holder = await startHolder();
  expect(await readdir(dataDir)).toContain('database.lock');
  await holder.end('SIGTERM');
  expect(await readdir(dataDir)).toEqual([]);
});

test('of several that find the lock of a killed holder, one takes it over', async ({ dataDir, startHolder }) => {
  const holder = await startHolder();
  await holder.end('SIGKILL');
  const outcomes = await Promise.allSettled([dataDir, dataDir, dataDir, dataDir].map(lockDataDir));
  const taken = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  expect(taken).toHaveLength(1);
  for (const { value: release } of taken) await release();
});

test.runIf(process.platform === 'linux')('a pid that was given out again is not the holder', async ({ dataDir }) => {
  const release = await lockDataDir(dataDir);
  const holder = await readHolder(dataDir);
  await release();

  await leaveLock(dataDir, { ...holder, startedAt: '1' });
  const taken = lockDataDir(dataDir);
  expect(await msUntil(taken)).toBeLessThan(2_000);
  await (await taken)();
});

test('a holder that cannot be seen is respected while it touches its lock', async ({ dataDir }) => {
  const release = await lockDataDir(dataDir);
  const elsewhere = { ...(await readHolder(dataDir)), host: `not-${hostname()}` };
  await writeFile(join(dataDir, 'database.lock.json'), JSON.stringify(elsewhere));
  await expect(lockDataDir(dataDir)).rejects.toThrow(`on not-${hostname()}`);
  await release();
});

test('a holder that cannot be seen and is silent for ten seconds is gone', async ({ dataDir }) => {
  await leaveLock(dataDir, { pid: 1, host: `not-${hostname()}`, startedAt: '1', pidSpace: 'another' });
  const taken = lockDataDir(dataDir);
  expect(await msUntil(taken)).toBeGreaterThan(9_000);
  await (await taken)();
});
