import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { viewerOf, withToken } from './customer.js';
import { patience, test } from './server-process.js';

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
});
