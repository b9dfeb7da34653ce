// Exits with 1 and an error message unless DATABASE_URL names a reachable PostgreSQL and REDIS_URL, if it is
// set, a reachable Redis: the run with services must not pass without them.
import { Redis } from 'ioredis';
import { reachPostgresql } from '../dist/db/reach.js';
import { StartError } from '../dist/errors.js';
import { endWith } from '../dist/server/start-failure.js';

const { DATABASE_URL, REDIS_URL } = process.env;

try {
  if (!DATABASE_URL) {
    throw new StartError(
      'Set DATABASE_URL to a PostgreSQL on which the tests may create databases, such as postgresql://postgres@127.0.0.1:5432/postgres.',
    );
  }
  await reachPostgresql({ connectionString: DATABASE_URL });
  if (REDIS_URL) await reachRedis(REDIS_URL);
} catch (error) {
  endWith(error);
}

async function reachRedis(url) {
  const redis = new Redis(url, { lazyConnect: true, connectTimeout: 2_000, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    throw new StartError(
      `Redis cannot be reached at the host and port of REDIS_URL (${error.message}). Check that it runs there, or unset REDIS_URL.`,
    );
  } finally {
    redis.disconnect();
  }
}
