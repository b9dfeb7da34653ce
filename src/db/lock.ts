import { mkdir, readFile, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import lockfile from 'proper-lockfile';
import { z } from 'zod';
import { StartError } from '../errors.js';

/** A holder that lives touches its lock more often than this; one that cannot be seen and is silent for so long is gone. */
const silenceMs = 10_000;
const refreshMs = 2_000;
const lookEveryMs = 250;

/** Taking the lock takes milliseconds. A turn whose process was killed ends after `turnStaleMs`, so waiting longer is enough. */
const turnStaleMs = 2_000;
const turnPauseMs = 50;
const turnTries = 100;

/** Who holds a folder: enough to tell, later and from another process, whether that process still lives. */
const holderShape = z.object({
  pid: z.int().positive(),
  host: z.string(),
  /** When the process began, in the kernel's ticks since boot, because pids are given out again. Null where unknown. */
  startedAt: z.string().nullable(),
  /** Which pids are meant: those of this boot and this container. Null where unknown. */
  pidSpace: z.string().nullable(),
});
type Holder = z.infer<typeof holderShape>;

interface LockPlace {
  /** As the operator wrote it, for messages. */
  dataDir: string;
  /** What proper-lockfile locks; its directory is this with `.lock` behind it. */
  file: string;
  holderPath: string;
}

/**
 * Locks the folder of the embedded database for this process. PGlite itself would let two processes in, and lose what
 * they write. A lock whose process was killed is taken over: at once where the process can be seen to be gone, and
 * after ten seconds of silence where it cannot be seen (another container, another machine).
 * @returns what frees the folder again.
 * @throws StartError where another process holds the folder.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const folder = await makeFolder(dataDir);
  const place = { dataDir, file: join(folder, 'database'), holderPath: join(folder, 'database.lock.json') };

  let silentSince: number | null = null;
  for (;;) {
    const outcome = await takeTurn(folder, () => tryToLock(place, silentSince));
    if (typeof outcome === 'function') return outcome;
    silentSince = outcome.touchedAt;
    await waitForSign(place, silentSince);
  }
}

async function makeFolder(dataDir: string): Promise<string> {
  try {
    // The folder holds customers' data and, beside it, the keys of the server.
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    return await realpath(dataDir);
  } catch (error) {
    throw new StartError(
      `The data folder ${dataDir} cannot be made (${error instanceof Error ? error.message : String(error)}). Give this user the right to write there, or set TOLLKEEPER_DATA_DIR to another folder.`,
      { cause: error },
    );
  }
}

/**
 * Two processes that both find the lock of a dead one must not both take it over: the second would remove the first
 * one's new lock. So looking, removing and taking are done by one process at a time.
 */
async function takeTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const leave = await lockfile.lock(join(folder, 'turn'), {
    realpath: false,
    stale: turnStaleMs,
    retries: { retries: turnTries, minTimeout: turnPauseMs, maxTimeout: turnPauseMs },
  });
  try {
    return await work();
  } finally {
    await leave();
  }
}

/**
 * @param silentSince the last sign of life that was seen; where it is still the last one, the holder counts as gone.
 * @returns what frees the lock, or the last sign of life of a holder that cannot be seen.
 */
async function tryToLock(
  place: LockPlace,
  silentSince: number | null,
): Promise<(() => Promise<void>) | { touchedAt: number }> {
  const touchedAt = await findTouchedAt(place);
  if (touchedAt !== null && touchedAt !== silentSince) {
    const holder = await findHolder(place);
    const life = holder === null ? 'unseen' : await lookAt(holder);
    // A sign of life after a silence: it does live, wherever it is.
    if (life === 'lives' || (life === 'unseen' && silentSince !== null)) throw inUse(place, holder);
    if (life === 'unseen') return { touchedAt };
  }
  await rm(`${place.file}.lock`, { recursive: true, force: true });
  return takeLock(place);
}

async function takeLock(place: LockPlace): Promise<() => Promise<void>> {
  const release = await lockfile.lock(place.file, {
    realpath: false,
    stale: silenceMs,
    update: refreshMs,
    onCompromised: () => {
      // Going on would be to write beside another process. Nobody awaits this, so it ends the process.
      throw new StartError(
        `The lock of the data folder ${place.dataDir} was taken away while this process used it, so it stops to keep the data whole. Start it again once nothing else uses the folder.`,
      );
    },
  });
  await writeFile(place.holderPath, JSON.stringify(await thisProcess()), { mode: 0o600 });
  return async () => {
    await rm(place.holderPath, { force: true });
    await release();
  };
}

/** Waits until the holder touches its lock, or until it has been silent for long enough. */
async function waitForSign(place: LockPlace, touchedAt: number): Promise<void> {
  const silentAt = Date.now() + silenceMs;
  while (Date.now() < silentAt && (await findTouchedAt(place)) === touchedAt) await sleep(lookEveryMs);
}

/** When the lock was last touched, in the clock of its disk; null where there is none. */
async function findTouchedAt({ file }: LockPlace): Promise<number | null> {
  try {
    return (await stat(`${file}.lock`)).mtimeMs;
  } catch {
    return null;
  }
}

async function findHolder({ holderPath }: LockPlace): Promise<Holder | null> {
  try {
    return holderShape.parse(JSON.parse(await readFile(holderPath, 'utf8')));
  } catch {
    return null;
  }
}

/** Whether the holder lives, as far as this process can see it. */
async function lookAt(holder: Holder): Promise<'lives' | 'gone' | 'unseen'> {
  const own = await thisProcess();
  if (holder.host !== own.host || holder.pidSpace === null || holder.pidSpace !== own.pidSpace) return 'unseen';
  if (!exists(holder.pid)) return 'gone';
  const startedAt = await findStartedAt(holder.pid);
  if (holder.startedAt === null || startedAt === null) return 'unseen';
  return startedAt === holder.startedAt ? 'lives' : 'gone';
}

async function thisProcess(): Promise<Holder> {
  return {
    pid: process.pid,
    host: hostname(),
    startedAt: await findStartedAt(process.pid),
    pidSpace: await findPidSpace(),
  };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** The 22nd field of /proc/<pid>/stat (proc(5)), or `ended` for a zombie, which has a pid and holds nothing; only Linux tells. */
async function findStartedAt(pid: number): Promise<string | null> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name, may itself hold blanks and brackets: count from behind its last bracket.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? null);
  } catch {
    return null;
  }
}

async function findPidSpace(): Promise<string | null> {
  if (process.platform !== 'linux') return process.platform;
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${boot.trim()} ${await readlink('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

function inUse({ dataDir }: LockPlace, holder: Holder | null): StartError {
  const who = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  return new StartError(
    `The data folder ${dataDir} is in use by ${who}, and the embedded database serves one process only. Stop that one, or set DATABASE_URL to a PostgreSQL that several processes can share.`,
  );
}
