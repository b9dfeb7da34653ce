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
 * The PostgreSQL of the run: that of DATABASE_URL, or a temporary server with the defaults of its package.
 * Databases are created for the run and dropped at its end. Nothing else is changed.
 * @param {string} directory of the run; the temporary server stores its data there
 */
export async function openPostgresql(directory) {
  const named = process.env.DATABASE_URL;
  const server = named ? { url: named, pid: null, stop: async () => undefined } : await startServer(directory);
  const admin = new pg.Client({ connectionString: server.url });
  await until(() => admin.connect(), { tries: 1 });
  if (!named) await createWalFiles(admin);
  const names = [];
  const mark = randomBytes(4).toString('hex');
  return {
    pid: server.pid,
    /** The version, and the settings that determine the cost of a commit. */
    describe: () => describe(admin, named !== undefined),
    /** Creates an empty database. @param {string} purpose @returns {Promise<string>} its URL */
    async createDatabase(purpose) {
      const name = `tollkeeper_bench_${mark}_${purpose.replaceAll('-', '_')}`;
      await admin.query(`CREATE DATABASE "${name}"`);
      names.push(name);
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    /**
     * Writes dirty pages now, so that this does not happen in the middle of the next figure. Needs a
     * superuser.
     */
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
 * A server that has run for a while reuses the files of its write-ahead log. A new server must create each
 * file first, which blocks all commits for 15 ms. So the files are created here.
 */
async function createWalFiles(admin) {
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
    : 'started for this run with the defaults of its package, 48 WAL files created beforehand';
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
      `There is no PostgreSQL in ${installationsRoot}. Install Debian's package postgresql, or set DATABASE_URL to a server where this user can create databases.`,
    );
  }
  return join(installationsRoot, newest, 'bin');
}

/**
 * PostgreSQL refuses to run as root, so it runs as the user of its package. Null: as the user of the bench.
 */
function findOwner() {
  if (process.getuid?.() !== 0) return null;
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag) =>
        Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // This user does not exist: try the next one.
    }
  }
  throw new Error('PostgreSQL refuses to run as root. Run the bench as another user, or set DATABASE_URL.');
}

export async function findFreePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
