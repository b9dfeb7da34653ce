import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';

/** The kernel's clock ticks per second: USER_HZ, 100 on Linux. */
const ticksPerSecond = 100;

/** The machine in one line. */
export function describeMachine() {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} cores (${model}), ${Math.round(totalmem() / 1e9)} GB of memory, ${process.platform} ${process.arch}`;
}

/** The current commit, and whether the tree has uncommitted changes. @param {string} directory */
export function describeCommit(directory) {
  const git = (...args) => execFileSync('git', ['-C', directory, ...args], { encoding: 'utf8' }).trim();
  try {
    const changed =
      git('status', '--porcelain', '--', 'src', 'prisma', 'package-lock.json', 'bench', ':!bench/RESULTS.md') !== '';
    return `${git('rev-parse', '--short=12', 'HEAD')}${changed ? ' with uncommitted changes' : ''}`;
  } catch {
    return 'unknown: not a git checkout';
  }
}

/** Median time of an fsync of one page, in microseconds. @param {string} directory */
export function measureFsync(directory) {
  const path = join(directory, 'fsync-probe');
  const file = openSync(path, 'w');
  const page = Buffer.alloc(8_192, 1);
  const times = [];
  for (let round = 0; round < 200; round += 1) {
    writeSync(file, page, 0, page.length, 0);
    const startedAt = performance.now();
    fsyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  rmSync(path);
  return Math.round((times.sort((a, b) => a - b)[times.length / 2] ?? 0) * 1_000);
}

/** Resident memory of a process in bytes, or null if unknown. @param {number} pid */
export function residentBytes(pid) {
  const match = /^VmRSS:\s*(\d+) kB/m.exec(readOrEmpty(`/proc/${pid}/status`));
  return match === null ? null : Number(match[1]) * 1_024;
}

/**
 * Processor time in seconds: of the given processes, of the bench, of PostgreSQL and of the whole machine.
 * @param {{ server: number[], generator: number[], postmaster: number | null }} pids
 */
export function readCpu({ server, generator, postmaster }) {
  return {
    server: server.reduce((sum, pid) => sum + (processTimes(pid)?.own ?? 0), 0),
    generator: generator.reduce((sum, pid) => sum + (processTimes(pid)?.own ?? 0), 0),
    bench: processTimes(process.pid)?.own ?? 0,
    postgresql: postmaster === null ? 0 : familySeconds(postmaster),
    machine: machineSeconds(),
  };
}

/** @returns {{ parent: number, own: number, ofChildren: number } | null} */
function processTimes(pid) {
  // The program name is in parentheses and may contain any character.
  const fields = /\) (.*)$/s.exec(readOrEmpty(`/proc/${pid}/stat`))?.[1]?.split(' ');
  if (fields === undefined) return null;
  const seconds = (index) => Number(fields[index]) / ticksPerSecond;
  return { parent: Number(fields[1]), own: seconds(11) + seconds(12), ofChildren: seconds(13) + seconds(14) };
}

/** PostgreSQL has a process per connection. Ended processes are included in the times of their parent. */
function familySeconds(postmaster) {
  const parent = processTimes(postmaster);
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processTimes(Number(name)))
    .filter((times) => times?.parent === postmaster);
  return (parent?.own ?? 0) + (parent?.ofChildren ?? 0) + children.reduce((sum, times) => sum + (times?.own ?? 0), 0);
}

function machineSeconds() {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    /^cpu +(.*)$/m.exec(readOrEmpty('/proc/stat'))?.[1] ?? ''
  )
    .split(' ')
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond;
}

function readOrEmpty(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
