import { randomBytes } from 'node:crypto';
import { describe, expect, inject } from 'vitest';
import { createTestDatabase } from '../database.js';
import { verify } from '../factories.js';
import { aCustomerWithKey, creditsOf, viewerOf, withToken } from './customer.js';
import { test as base, patience } from './server-process.js';

const token = `tks_${'Together1'.repeat(4)}`;

const test = base.extend<{ variables: Record<string, string> }>({
  /** The variables of a new, empty PostgreSQL database. */
  variables: async ({ task: _task }, use) => {
    const { databaseUrl, remove } = await createTestDatabase();
    await use({
      DATABASE_URL: databaseUrl,
      TOLLKEEPER_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      TOLLKEEPER_SERVICE_TOKEN: token,
    });
    await remove();
  },
});

describe.skipIf(inject('databaseTemplate').kind !== 'postgresql')('several servers on one PostgreSQL', patience, () => {
  test('start concurrently on an empty database, and each serves what the other wrote', async ({
    startProcess,
    variables,
  }) => {
    const [one, other] = await Promise.all([startProcess(variables), startProcess(variables)]);
    const { session, secret } = await aCustomerWithKey(one);
    expect(await viewerOf(withToken(other, session))).toMatchObject({ kind: 'USER' });
    expect(await verify({ backend: withToken(other, token) }, secret)).toMatchObject({ valid: true });
  });

  test('start after another server was killed', async ({ startProcess, variables }) => {
    const killed = await startProcess(variables);
    const { session } = await aCustomerWithKey(killed);
    await killed.end('SIGKILL');
    const next = await startProcess(variables);
    expect(await creditsOf(withToken(next, session))).toMatchObject({ balance: 100 });
  });

  test('print exactly one service token when they first start concurrently', async ({ startProcess, variables }) => {
    const { TOLLKEEPER_SERVICE_TOKEN: _given, ...fresh } = variables;
    const servers = await Promise.all([startProcess(fresh), startProcess(fresh)]);
    const printed = servers.flatMap((server) => server.stdout().match(/Service token {2}tks_\w+/g) ?? []);
    expect(printed).toHaveLength(1);
  });
});
