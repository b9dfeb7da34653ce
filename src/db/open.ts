import type { Database, EmbeddedOptions, PostgresqlOptions } from './database.js';

/**
 * Opens PostgreSQL, or the embedded PGlite in a folder that this process locks. It does not migrate. Only the
 * code of the one that is opened is loaded: each takes tens of megabytes.
 * @throws StartError if the database cannot be reached or the folder is in use.
 */
export async function openDatabase(options: PostgresqlOptions | EmbeddedOptions): Promise<Database> {
  if ('databaseUrl' in options) return (await import('./open-postgresql.js')).openPostgresql(options);
  return (await import('./open-embedded.js')).openEmbedded(options);
}
