// Ends with 1 and a sentence unless DATABASE_URL names a PostgreSQL that answers: a run that was asked for the services
// must not pass without them.
import { reachPostgresql } from '../dist/db/reach.js';
import { StartError } from '../dist/start-error.js';
import { endWith } from '../dist/start-failure.js';

try {
  const connectionString = process.env.DATABASE_URL;
  if (!connectionString) {
    throw new StartError(
      'Set DATABASE_URL to a PostgreSQL on which the tests may create databases, such as postgresql://postgres@127.0.0.1:5432/postgres.',
    );
  }
  await reachPostgresql({ connectionString });
} catch (error) {
  endWith(error);
}
