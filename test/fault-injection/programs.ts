import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { describe, inject } from 'vitest';

const installationsFolder = '/usr/lib/postgresql';

/**
 * The folder of the PostgreSQL programs such as initdb: the newest Debian package, or that on PATH. Null if
 * there is none.
 */
export function findPostgresql(): string | null {
  const versions = existsSync(installationsFolder) ? readdirSync(installationsFolder) : [];
  const folders = versions.sort((a, b) => Number(b) - Number(a)).map((v) => join(installationsFolder, v, 'bin'));
  const installed = folders.find((folder) => existsSync(join(folder, 'initdb')));
  const onPath = findOnPath('initdb');
  return installed ?? (onPath && dirname(realpathSync(onPath)));
}

/** The path of the server program of Redis or Valkey. Null if there is neither. */
export function findRedis(): string | null {
  return findOnPath('redis-server') ?? findOnPath('valkey-server');
}

function findOnPath(program: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? null;
}

/** PostgreSQL does not run as root, so for root this is the user of its package. Empty for any other user. */
export function findPostgresqlUser(): { uid: number; gid: number } | Record<string, never> {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string, user: string) =>
    Number(execFileSync('id', [flag, user], { stdio: ['ignore', 'pipe', 'ignore'] }));
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', user), gid: idOf('-g', user) };
    } catch {
      // Try the next user.
    }
  }
  throw new Error('PostgreSQL does not run as root, and this machine has neither the user postgres nor nobody.');
}

/** Why these tests cannot run here; null if they can. */
function findObstacle(): string | null {
  if (inject('databaseTemplate').kind !== 'postgresql') {
    return 'not run: they belong to the run with the services, npm run test:services';
  }
  const missing = [
    ...(findPostgresql() === null ? ["PostgreSQL's initdb (Debian's package postgresql)"] : []),
    ...(findRedis() === null ? ["Redis's redis-server (Debian's package redis-server)"] : []),
  ];
  return missing.length === 0 ? null : `not run: this machine has no ${missing.join(' and no ')}`;
}

/** Tests on their own PostgreSQL and Redis. They take a minute, so they run only in the run with services. */
export function describeFaultInjection(name: string, body: () => void): void {
  const obstacle = findObstacle();
  if (obstacle === null) return void describe(name, body);
  // The run with services prints why these tests are skipped.
  if (inject('databaseTemplate').kind === 'postgresql') console.info(`${name}: ${obstacle}.`);
  describe.skip(`${name} (${obstacle})`, body);
}
