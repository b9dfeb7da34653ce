import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect } from 'vitest';
import { refusalOf } from './refusal.js';
import { freePort, patience, test } from './server-process.js';

describe('the server refuses to start with an explanation', patience, () => {
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

  test('when migrations are disabled and the database is outdated', async ({ runServer }) => {
    expect(refusalOf(await runServer({ TOLLKEEPER_MIGRATE: 'false' }))).toMatch(
      /^The database is behind this version by \d+ of its migrations .*TOLLKEEPER_MIGRATE=true/,
    );
  });
});
