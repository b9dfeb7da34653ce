import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { aCustomerWithKey, creditsOf, viewerOf, withToken } from './journey.js';
import { patience, test } from './server-process.js';

const givenToken = `tks_${'Given1'.repeat(6)}`;
const tokenPattern = /tks_[A-Za-z0-9]{32,}/g;

describe('starting', patience, () => {
  test('the first start prints a service token, the address of the playground, and a next command that works', async ({
    startServerOnNothing,
  }) => {
    const server = await startServerOnNothing();
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

  test('a later start prints no token, and the first one works on', async ({ startServer }) => {
    const first = await startServer();
    const [token = ''] = first.stdout().match(tokenPattern) ?? [];
    await first.end();

    const second = await startServer();
    expect(second.stdout()).not.toMatch(tokenPattern);
    expect(await viewerOf(withToken(second, token))).toMatchObject({ kind: 'SERVICE' });
  });

  test('TOLLKEEPER_SERVICE_TOKEN registers that token, and none is made or printed', async ({ startServer }) => {
    const server = await startServer({ TOLLKEEPER_SERVICE_TOKEN: givenToken });
    expect(server.stdout()).not.toMatch(tokenPattern);
    expect(await viewerOf(withToken(server, givenToken))).toMatchObject({ kind: 'SERVICE' });
  });

  test('what .env says counts where the environment says nothing', async ({ folder, startServer }) => {
    await writeFile(
      join(folder, '.env'),
      `TOLLKEEPER_SERVICE_TOKEN=${givenToken}\nPORT=1\nTOLLKEEPER_PRODUCTS=masko\n`,
    );
    const server = await startServer({ TOLLKEEPER_PRODUCTS: 'craftkit' });
    expect(await viewerOf(withToken(server, givenToken))).toMatchObject({ kind: 'SERVICE' });
    expect(server.stdout()).toContain('"products":["craftkit"]');
  });

  test('accounts, sessions and credits are there after a restart', async ({ startServer }) => {
    const first = await startServer();
    const { session } = await aCustomerWithKey(first);
    await first.end();

    const second = await startServer();
    expect(await creditsOf(withToken(second, session))).toEqual({ balance: 100, reasons: expect.any(Array) });
  });

  test('the playground and both health endpoints answer', async ({ startServer }) => {
    const server = await startServer();
    const page = await server.fetch('/graphql', { headers: { accept: 'text/html' } });
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(await (await server.fetch('/health/live')).json()).toEqual({ status: 'live' });
    expect(await (await server.fetch('/health/ready')).json()).toEqual({ status: 'ready' });
  });
});
