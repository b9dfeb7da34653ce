import type { Database, EmbeddedOptions, PostgresqlOptions } from './database.js';

/**
 * Opens PostgreSQL, or the embedded PGlite under the lock of its folder. It does not migrate. Only the one that is opened is loaded:
 * each of them takes tens of megabytes.
 * @throws StartError where the database cannot be reached or the folder is in use.
 */
export async function openDatabase(options: PostgresqlOptions | EmbeddedOptions): Promise<Database> {
  if ('databaseUrl' in options) return (await import('./open-postgresql.js')).openPostgresql(options);
  return (await import('./open-embedded.js')).openEmbedded(options);
}
