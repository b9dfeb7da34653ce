import { mkdir } from 'node:fs/promises';
import type { Logger } from 'pino';
import { migrate, pendingMigrations } from './db/migrate.js';
import { type Database, openDatabase } from './db/open.js';
import type { Env } from './env.js';
import { StartError } from './start-error.js';

/** Opens the database that the environment names, and brings it to this version's schema, or refuses where that is left to somebody else. @throws StartError */
export async function openForUse(env: Env, log: Logger): Promise<Database> {
  if (env.databaseUrl === null) await mkdir(env.dataDir, { recursive: true, mode: 0o700 });
  const database = await openDatabase(
    env.databaseUrl === null
      ? { dataDir: env.dataDir }
      : {
          databaseUrl: env.databaseUrl,
          onConnectionLost: (error) => log.warn({ err: error }, 'an idle database connection was lost'),
        },
  );
  try {
    await bringUpToDate(database, env, log);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function bringUpToDate(database: Database, env: Env, log: Logger): Promise<void> {
  if (env.migrate) {
    const applied = await migrate(database);
    if (applied.length > 0) log.info({ migrations: applied }, 'migrations applied');
    return;
  }
  const pending = await pendingMigrations(database);
  if (pending.length > 0) {
    throw new StartError(
      `The database lacks ${pending.length} migration(s), the first of them ${pending[0]}. Run \`npx tollkeeper migrate\`, or start with TOLLKEEPER_MIGRATE=true.`,
    );
  }
}
