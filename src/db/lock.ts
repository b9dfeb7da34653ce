import { mkdir, readFile, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import lockfile from 'proper-lockfile';
import { z } from 'zod';
import { StartError } from '../errors.js';
import { hasCode } from './error-codes.js';

/** The holder touches its lock every two seconds. After ten without a touch it counts as ended. */
const refreshMs = 2_000;
const silenceMs = 10_000;
const pollMs = 250;

/** Longer than one process waits for silence while others wait for it. */
const startLock = { realpath: false, stale: 2_000, retries: { retries: 250, minTimeout: 50, maxTimeout: 50 } };

/** Identifies a process, so that another process can tell whether it still runs. */
const processShape = z.object({
  pid: z.int().positive(),
  host: z.string(),
  /** Start of the process in clock ticks since boot, because pids are reused. Null if unknown. */
  startedAt: z.string().nullable(),
  /** Boot and pid namespace, in which the pid has its meaning. Null if unknown. */
  pidSpace: z.string().nullable(),
});
type ProcessIdentity = z.infer<typeof processShape>;

/**
 * Locks the folder of the embedded database for this process. PGlite itself would let two processes in and
 * lose their writes. The lock of a killed process is taken over: at once if it ran on this machine and in
 * this container, else after ten seconds without a refresh.
 * @returns a function that releases the lock.
 * @throws StartError if another process holds the lock; it names that process.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const folder = await createFolder(dataDir);
  const file = join(folder, 'database');
  const lockPath = `${file}.lock`;
  const holderPath = `${file}.lock.json`;
  const inUse = async () => inUseError(dataDir, await findHolder(holderPath));

  // Checking, removing and locking happen in one process at a time: else two processes that find the lock of
  // a killed one could both take it over.
  const endStart = await lockfile.lock(join(folder, 'turn'), startLock).catch(async (error) => {
    throw hasCode(error, 'ELOCKED') ? await inUse() : error;
  });
  try {
    if (await isHeld(lockPath, holderPath)) throw await inUse();
    await rm(lockPath, { recursive: true, force: true });
    const release = await lockfile.lock(file, {
      realpath: false,
      stale: silenceMs,
      update: refreshMs,
      onCompromised: () => {
        // No caller awaits this, so it ends the process: going on would mean to write beside another process.
        throw new StartError(
          `Another process took the lock of the data folder ${dataDir}, so this one stops to protect the data. Start it again when no other process uses the folder.`,
        );
      },
    });
    await writeFile(holderPath, JSON.stringify(await identify(process.pid)), { mode: 0o600 });
    return async () => {
      await rm(holderPath, { force: true });
      await release();
    };
  } finally {
    await endStart();
  }
}

async function createFolder(dataDir: string): Promise<string> {
  try {
    // Not readable by other users: it contains customers' data and the keys of the server.
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    return await realpath(dataDir);
  } catch (error) {
    throw new StartError(
      `The data folder ${dataDir} cannot be created (${error instanceof Error ? error.message : String(error)}). Allow this user to write there, or set TOLLKEEPER_DATA_DIR to another folder.`,
      { cause: error },
    );
  }
}

/**
 * Whether a running process holds the lock. If its process is not visible from here, this waits for the next
 * touch.
 */
async function isHeld(lockPath: string, holderPath: string): Promise<boolean> {
  const touchedAt = await findTouchedAt(lockPath);
  if (touchedAt === null) return false;
  const holder = await findHolder(holderPath);
  const isRunning = holder && (await isProcessRunning(holder));
  if (isRunning !== null) return isRunning;
  for (const silentAt = Date.now() + silenceMs; Date.now() < silentAt; await sleep(pollMs)) {
    const latest = await findTouchedAt(lockPath);
    if (latest !== touchedAt) return latest !== null;
  }
  return false;
}

/** When the lock was last touched, by the clock of its disk; null without a lock. */
async function findTouchedAt(lockPath: string): Promise<number | null> {
  const lock = await stat(lockPath).catch(() => null);
  return lock?.mtimeMs ?? null;
}

async function findHolder(holderPath: string): Promise<ProcessIdentity | null> {
  try {
    return processShape.parse(JSON.parse(await readFile(holderPath, 'utf8')));
  } catch {
    return null;
  }
}

/** @returns null if the process cannot be seen from here. */
async function isProcessRunning(holder: ProcessIdentity): Promise<boolean | null> {
  const current = await identify(holder.pid);
  if (current.host !== holder.host || current.pidSpace === null || current.pidSpace !== holder.pidSpace) return null;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
  }
  if (current.startedAt === null || holder.startedAt === null) return null;
  return current.startedAt === holder.startedAt;
}

async function identify(pid: number): Promise<ProcessIdentity> {
  const read = (path: string) => readFile(path, 'utf8').catch(() => null);
  const [boot, namespace, line] = await Promise.all([
    read('/proc/sys/kernel/random/boot_id'),
    readlink('/proc/self/ns/pid').catch(() => null),
    read(`/proc/${pid}/stat`),
  ]);
  // Fields after the program's name in brackets (proc(5)): the state, and the start as the 20th. A zombie
  // holds nothing.
  const fields = line?.slice(line.lastIndexOf(')') + 2).split(' ');
  const startedAt = fields?.[0] === 'Z' ? 'ended' : (fields?.[19] ?? null);
  const linuxSpace = boot && namespace && `${boot.trim()} ${namespace}`;
  return { pid, host: hostname(), startedAt, pidSpace: process.platform === 'linux' ? linuxSpace : process.platform };
}

function inUseError(dataDir: string, holder: ProcessIdentity | null): StartError {
  const who = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  return new StartError(
    `The data folder ${dataDir} is in use by ${who}, and the embedded database serves one process only. Stop that process, or set DATABASE_URL to a PostgreSQL that several processes can share.`,
  );
}
