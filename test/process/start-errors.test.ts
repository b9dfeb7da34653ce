import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { refusalOf } from './refusal.js';
import { freePort, patience, test } from './server-process.js';

const encryptionKey = randomBytes(32).toString('base64');

// Refusals that need a database: start-errors.long.test.ts.
describe('the server refuses to start with an explanation', patience, () => {
  test('with an invalid product file', async ({ folder, runServer }) => {
    await writeFile(
      join(folder, 'acme.yaml'),
      'slug: acme\ntitle: Acme\ndescription: Maps.\nissuers: { by: everybody }\n',
    );
    expect(refusalOf(await runServer({ TOLLKEEPER_PRODUCTS: './acme.yaml' }))).toMatch(
      /^The product file \.\/acme\.yaml, line \d: \S+ .*docs\/products\.md describes every field\.$/,
    );
  });

  test('when PostgreSQL cannot be reached, without revealing its password', async ({ runServer }) => {
    const port = await freePort();
    const DATABASE_URL = `postgresql://tollkeeper:hunter2@127.0.0.1:${port}/keys`;
    const refusal = refusalOf(await runServer({ DATABASE_URL, TOLLKEEPER_ENCRYPTION_KEY: encryptionKey }));
    expect(refusal).toMatch(`PostgreSQL cannot be reached at 127.0.0.1:${port} for the database "keys"`);
    expect(refusal).not.toContain('hunter2');
  });

  test('with DATABASE_URL but no encryption key', async ({ runServer }) => {
    expect(refusalOf(await runServer({ DATABASE_URL: 'postgresql://tollkeeper@127.0.0.1:1/keys' }))).toMatch(
      /^DATABASE_URL is set, so TOLLKEEPER_ENCRYPTION_KEY must be set too: .*openssl rand -base64 32/,
    );
  });

  test('when its data folder cannot be created', async ({ folder, runServer }) => {
    await writeFile(join(folder, '.tollkeeper'), '');
    expect(refusalOf(await runServer())).toMatch(
      /^The data folder \.tollkeeper cannot be created \(.*TOLLKEEPER_DATA_DIR/,
    );
  });

  test('with an invalid variable, without repeating its value', async ({ runServer }) => {
    expect(refusalOf(await runServer({ TOLLKEEPER_SERVICE_TOKEN: 'tks_hunter2' }))).toBe(
      'TOLLKEEPER_SERVICE_TOKEN must be tks_ and at least 32 letters and digits; remove it to have one created.',
    );
  });
});
