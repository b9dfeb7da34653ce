import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { aCustomerWithKey, creditsOf, viewerOf, withToken } from './customer.js';
import { patience, test } from './server-process.js';

const givenToken = `tks_${'Given1'.repeat(6)}`;
const tokenPattern = /tks_[A-Za-z0-9]{32,}/g;

describe('the start of a server', patience, () => {
  test('prints a service token, the playground URL and a working example command the first time', async ({
    startProcess,
  }) => {
    const server = await startProcess();
    const [token = ''] = server.stdout().match(tokenPattern) ?? [];
    expect(server.stdout()).toContain(`Playground     ${server.url}/graphql\n`);
    expect(server.stdout()).toContain(`Service token  ${token}\n`);
    expect(await viewerOf(withToken(server, token))).toMatchObject({ kind: 'SERVICE' });

    const command = /^ {2}(curl [\s\S]*?[^\\])\n/m.exec(server.stdout())?.[1] ?? '';
    const { stdout } = await promisify(execFile)('sh', ['-c', command]);
    expect(JSON.parse(stdout)).toMatchObject({
      data: { viewer: { kind: 'SERVICE' }, products: [{ slug: 'default' }] },
    });
  });

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
