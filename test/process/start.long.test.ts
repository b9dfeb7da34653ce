import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { aCustomerWithKey, creditsOf, viewerOf, withToken } from './customer.js';
import { patience, test } from './server-process.js';

const givenToken = `tks_${'Given1'.repeat(6)}`;
const tokenPattern = /tks_[A-Za-z0-9]{32,}/g;

describe('the start of a server', patience, () => {
  test('prints no token the second time and keeps accounts, sessions, credits and tokens', async ({ startServer }) => {
    const first = await startServer();
    const [token = ''] = first.stdout().match(tokenPattern) ?? [];
    const { session } = await aCustomerWithKey(first);
    await first.end();

    const second = await startServer();
    expect(second.stdout()).not.toMatch(tokenPattern);
    expect(await viewerOf(withToken(second, token))).toMatchObject({ kind: 'SERVICE' });
    expect(await creditsOf(withToken(second, session))).toMatchObject({ balance: 100 });
  });

  test('reads variables from .env that the environment does not set, and does not print a configured token', async ({
    folder,
    startServer,
  }) => {
    await writeFile(
      join(folder, '.env'),
      `TOLLKEEPER_SERVICE_TOKEN=${givenToken}\nPORT=1\nTOLLKEEPER_PRODUCTS=masko\n`,
    );
    const server = await startServer({ TOLLKEEPER_PRODUCTS: 'craftkit' });
    expect(server.stdout()).toContain('"products":["craftkit"]');
    expect(server.stdout()).not.toMatch(tokenPattern);
    expect(await viewerOf(withToken(server, givenToken))).toMatchObject({ kind: 'SERVICE' });
  });
});
