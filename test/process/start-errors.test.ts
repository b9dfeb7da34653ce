import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { type Ended, freePort, patience, test } from './server-process.js';

const encryptionKey = randomBytes(32).toString('base64');

/** The error message: a single sentence without a stack trace, with exit code 1 and no other output. */
function refusalOf({ code, stdout, stderr }: Ended): string {
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^[A-Z][^\n]*\.\n$/);
  expect(stderr).not.toMatch(/\bat (async )?\S+ \(|node:internal|\.js:\d+/);
  return stderr.trimEnd();
}

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

  test('when its port is in use, and prints the service token at the first successful start', async ({
    database,
    runServer,
    startServer,
  }) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(refusalOf(await runServer({ ...database, PORT: String(port), LOG_LEVEL: 'warn' }))).toBe(
      `Port ${port} on 127.0.0.1 is in use. Stop what listens there, or set PORT to another one.`,
    );
    other.close();
    const server = await startServer({ PORT: String(port) });
    expect(server.stdout()).toMatch(/Service token {2}tks_\w+/);
  });

  test('when another process holds the data folder, and that process continues to serve', async ({
    embeddedDatabase: _,
    runServer,
    startProcess,
  }) => {
    const holder = await startProcess();
    expect(refusalOf(await runServer({ PORT: String(await freePort()) }))).toMatch(
      /^The data folder \.tollkeeper is in use by process \d+ on .*set DATABASE_URL to a PostgreSQL/,
    );
    expect((await holder.fetch('/health/ready')).status).toBe(200);
  });

  test('when its data folder cannot be created', async ({ folder, runServer }) => {
    await writeFile(join(folder, '.tollkeeper'), '');
    expect(refusalOf(await runServer())).toMatch(
      /^The data folder \.tollkeeper cannot be created \(.*TOLLKEEPER_DATA_DIR/,
    );
  });

  test('when migrations are disabled and the database is outdated', async ({ runServer }) => {
    expect(refusalOf(await runServer({ TOLLKEEPER_MIGRATE: 'false' }))).toMatch(
      /^The database is behind this version by \d+ of its migrations .*TOLLKEEPER_MIGRATE=true/,
    );
  });

  test('with an invalid variable, without repeating its value', async ({ runServer }) => {
    expect(refusalOf(await runServer({ TOLLKEEPER_SERVICE_TOKEN: 'tks_hunter2' }))).toBe(
      'TOLLKEEPER_SERVICE_TOKEN must be tks_ and at least 32 letters and digits; remove it to have one created.',
    );
  });
});
