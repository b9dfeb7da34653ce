import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { withDatabase } from '../postgresql.js';
import { freePort } from '../process/server-process.js';
import { type OwnProcess, startOwn, startUntilReady } from './own-process.js';
import { findPostgresql, findPostgresqlUser } from './programs.js';

/** A PostgreSQL that a test may stop at any time. Commits wait for the disk, as by default. */
export interface OwnPostgresql {
  /** Starts it if it is stopped. Resolves once it accepts connections. */
  start(): Promise<void>;
  /** SIGINT is a fast shutdown, SIGQUIT an immediate shutdown that requires recovery, SIGKILL a crash. */
  stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void>;
  /** Creates an empty database. */
  createDatabase(): Promise<{ databaseUrl: string; remove: () => Promise<void> }>;
  /** Runs a statement as superuser. */
  query<Row extends object>(databaseUrl: string, text: string, values?: readonly unknown[]): Promise<Row[]>;
  readonly url: string;
  close(): Promise<void>;
}

export async function openPostgresql(): Promise<OwnPostgresql> {
  const programs = findPostgresql();
  if (programs === null) throw new Error('There is no PostgreSQL to start.');
  const user = findPostgresqlUser();
  // Another user must be able to access the folder, which TMPDIR may not allow.
  const folder = await mkdtemp(join('uid' in user ? '/tmp' : tmpdir(), 'tollkeeper-faults-postgresql-'));
  if ('uid' in user) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const logPath = join(folder, 'log');
  const port = await freePort();
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--auth=trust', '--no-sync'],
    { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const launch = () =>
    startOwn(
      join(programs, 'postgres'),
      ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-c', 'unix_socket_directories='],
      logPath,
      { ...user, cwd: folder },
    );
  const start = () => startUntilReady(launch, () => query(url, 'SELECT 1'), logPath);
  let own: OwnProcess = await start();
  return {
    url,
    async start() {
      if (own.hasEnded()) own = await start();
    },
    stop: (signal) => own.end(signal),
    async createDatabase() {
      const name = `faults_${randomBytes(4).toString('hex')}`;
      await query(url, `CREATE DATABASE "${name}"`);
      return {
        databaseUrl: withDatabase(url, name),
        remove: async () => void (await query(url, `DROP DATABASE "${name}" WITH (FORCE)`)),
      };
    },
    query,
    async close() {
      await own.end('SIGQUIT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function query<Row extends object>(
  databaseUrl: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  // The query reports a server that ends meanwhile.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
