import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { failsAtExit, startProgram, stop, until } from './child.mjs';

const installationsRoot = '/usr/lib/postgresql';

/**
 * The PostgreSQL of the run: the one that DATABASE_URL names, or a throw-away one with the defaults of its package.
 * Databases are made for the run and dropped at its end; nothing else is touched.
 * @param {string} directory of the run; the throw-away server lives in it
 */
export async function openPostgresql(directory) {
  const named = process.env.DATABASE_URL;
  const server = named ? { url: named, pid: null, stop: async () => undefined } : await startServer(directory);
  const admin = new pg.Client({ connectionString: server.url });
  await until(() => admin.connect(), { tries: 1 });
  if (!named) await age(admin);
  const names = [];
  const mark = randomBytes(4).toString('hex');
  return {
    pid: server.pid,
    /** The settings that decide what a commit costs, and the version. */
    describe: () => describe(admin, named !== undefined),
    /** Makes an empty database. @param {string} purpose @returns {Promise<string>} its address */
    async createDatabase(purpose) {
      const name = `tollkeeper_bench_${mark}_${purpose.replaceAll('-', '_')}`;
      await admin.query(`CREATE DATABASE "${name}"`);
      names.push(name);
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    /** So that one figure's pages are not written out in the middle of another. Only a superuser may. */
    checkpoint: () => admin.query('CHECKPOINT').catch(() => undefined),
    async close() {
      for (const name of names)
        await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`).catch(() => undefined);
      await admin.end();
      await server.stop();
    },
  };
}

/**
 * A server that has run for a while writes its log over files that it has written before. A new one makes each of them first, which stops
 * all that commit for 15 ms: so they are made here.
 */
async function age(admin) {
  for (let files = 0; files < 48; files += 1) {
    await admin.query(`SELECT pg_logical_emit_message(false, 'bench', 'the next file')`);
    await admin.query('SELECT pg_switch_wal()');
  }
  await admin.query('CHECKPOINT');
}

async function describe(admin, isNamed) {
  const show = async (name) => (await admin.query(`SHOW ${name}`)).rows[0][name];
  const settings = ['fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'shared_buffers'];
  const values = [];
  for (const name of settings) values.push(`${name} = ${await show(name)}`);
  const origin = isNamed
    ? 'from DATABASE_URL'
    : 'started for this run with the defaults of its package, 48 files of its log made beforehand';
  return { version: await show('server_version'), origin, settings: values.join(', ') };
}

async function startServer(directory) {
  const bin = findBinaries();
  const owner = findOwner();
  const home = join(directory, 'postgresql');
  mkdirSync(home, { mode: 0o700 });
  const data = join(home, 'data');
  const passwordFile = join(home, 'password');
  const outputPath = join(home, 'log');
  const password = randomBytes(16).toString('hex');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner !== null) for (const path of [home, passwordFile]) chownSync(path, owner.uid, owner.gid);
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'bench', '-E', 'UTF8', '--locale=C', '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
    { ...owner, cwd: home, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const port = await findFreePort();
  const child = startProgram(
    join(bin, 'postgres'),
    ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-c', 'unix_socket_directories='],
    { ...owner, cwd: home, output: openSync(outputPath, 'a') },
  );
  const url = `postgresql://bench:${password}@127.0.0.1:${port}/postgres`;
  const answers = until(async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.end();
  });
  await Promise.race([answers, failsAtExit(child, 'PostgreSQL', outputPath)]);
  // SIGINT: ends sessions, and shuts down cleanly.
  return { url, pid: child.pid, stop: () => stop(child, 'SIGINT') };
}

function findBinaries() {
  const versions = existsSync(installationsRoot) ? readdirSync(installationsRoot) : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) {
    throw new Error(
      `There is no PostgreSQL in ${installationsRoot}. Install Debian's package postgresql, or set DATABASE_URL to a server on which databases may be made.`,
    );
  }
  return join(installationsRoot, newest, 'bin');
}

/** PostgreSQL does not run as root, so it is run as the user that its package made. Null: as whoever runs the bench. */
function findOwner() {
  if (process.getuid?.() !== 0) return null;
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag) =>
        Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // The next one, then.
    }
  }
  throw new Error('PostgreSQL does not run as root. Run the bench as another user, or set DATABASE_URL.');
}

export async function findFreePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
