import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { migrate, requireMigrated } from '../db/migrate.js';
import { openDatabase } from '../db/open.js';
import type { Settings } from '../settings.js';

/**
 * Opens the database of the settings and migrates it to this version's schema. With `migrate` false it
 * refuses a database that is behind.
 * @throws StartError
 */
export async function openMigratedDatabase(settings: Settings, log: Logger): Promise<Database> {
  const database = await openDatabase(
    settings.databaseUrl === null
      ? { dataDir: settings.dataDir }
      : {
          databaseUrl: settings.databaseUrl,
          onConnectionLost: (error) => log.warn({ err: error }, 'an idle database connection was lost'),
        },
  );
  try {
    await bringUpToDate(database, settings, log);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function bringUpToDate(database: Database, settings: Settings, log: Logger): Promise<void> {
  if (!settings.migrate) return requireMigrated(database);
  const { migrations, functions } = await migrate(database);
  if (migrations.length + functions.length > 0) log.info({ migrations, functions }, 'database migrated');
}
