import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test as base } from '../process/server-process.js';
import { openSeededRandom, type SeededRandom } from '../seeded-random.js';
import { type OwnPostgresql, openPostgresql } from './own-postgresql.js';
import { type OwnRedis, openRedis } from './own-redis.js';
import { productsOnSale } from './products.js';

interface Fixtures {
  /** The tests of a file share it: making one takes longer than most of what they do. */
  postgresql: OwnPostgresql;
  redis: OwnRedis;
  chance: SeededRandom;
  /** The address of a database of the test's own, empty until the first server starts. */
  databaseUrl: string;
  /** What points a server at that database, and has it sell {@link productsOnSale}. */
  variables: Readonly<Record<string, string>>;
}

/** The backend's credential, on every server of these tests. */
export const serviceToken = `tks_${'Faults1'.repeat(5)}`;

/** A test with a PostgreSQL and a Redis that nobody else uses. */
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
    // A test may fail while it is away. And each file that is left would be looked at whenever it recovers.
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

/** These tests wait for much, each wait with a limit of its own; on a busy machine the limits are far away. */
export const patience = { timeout: 500_000 };
