import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test as base } from '../process/server-process.js';
import { openSeededRandom, type SeededRandom } from '../seeded-random.js';
import { type OwnPostgresql, openPostgresql } from './own-postgresql.js';
import { type OwnRedis, openRedis } from './own-redis.js';
import { productsOnSale } from './products.js';

interface Fixtures {
  /** Shared by the tests of a file, because creating one takes longer than most of them. */
  postgresql: OwnPostgresql;
  redis: OwnRedis;
  chance: SeededRandom;
  /** The URL of a database of the test, empty until the first server starts. */
  databaseUrl: string;
  /** The variables of a server on that database with the products {@link productsOnSale}. */
  variables: Readonly<Record<string, string>>;
}

/** The service token of the backend, on every server of these tests. */
export const serviceToken = `tks_${'Faults1'.repeat(5)}`;

/** A test with its own PostgreSQL and Redis. */
export const test = base.extend<Fixtures>({
  postgresql: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture needs.
    async ({}, use) => {
      const postgresql = await openPostgresql();
      await use(postgresql);
      await postgresql.close();
    },
    { scope: 'file' },
  ],
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern what a fixture needs.
  redis: async ({}, use) => {
    const redis = await openRedis();
    await use(redis);
    await redis.close();
  },
  chance: async ({ task }, use) => {
    await use(openSeededRandom(task.name));
  },
  databaseUrl: async ({ postgresql }, use) => {
    const { databaseUrl, remove } = await postgresql.createDatabase();
    await use(databaseUrl);
    // A failed test may leave it stopped. Remaining databases would slow down its recovery in later tests.
    await postgresql.start();
    await remove();
  },
  variables: async ({ folder, databaseUrl }, use) => {
    const paths = productsOnSale.map(({ slug }) => join(folder, `${slug}.json`));
    await Promise.all(paths.map((path, index) => writeFile(path, JSON.stringify(productsOnSale[index]))));
    await use({
      DATABASE_URL: databaseUrl,
      TOLLKEEPER_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      TOLLKEEPER_SERVICE_TOKEN: serviceToken,
      TOLLKEEPER_PRODUCTS: paths.join(','),
      TOLLKEEPER_MUTATIONS_PER_MINUTE: '1000000',
    });
  },
});

/** Each wait in these tests has its own limit; this timeout covers a busy machine. */
export const patience = { timeout: 500_000 };
