import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished } from 'vitest';
import { aPerson, createApiKey } from '../factories.js';
import { creditsOf } from './customer.js';
import { freePort, patience, test } from './server-process.js';

const token = `tks_${'Backend1'.repeat(4)}`;

/** Starts the unchanged backend of docs/verification.md. */
async function startBackend(folder: string, serverUrl: string): Promise<{ url: string; child: ChildProcess }> {
  const page = await readFile(new URL('../../docs/verification.md', import.meta.url), 'utf8');
  const script = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const path = join(folder, 'backend.mjs');
  await writeFile(path, script);
  const port = await freePort();
  const child = spawn(process.execPath, [path], {
    env: { PORT: String(port), TOLLKEEPER_URL: `${serverUrl}/graphql`, TOLLKEEPER_SERVICE_TOKEN: token },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    await once(child, 'exit');
  });
  return { url: `http://127.0.0.1:${port}`, child };
}

/** Repeats the request until the backend listens. */
async function ask(url: string, headers: Record<string, string> = {}): Promise<Response> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await fetch(url, { headers });
    } catch (error) {
      if (tries > 500) throw error;
      await sleep(20);
    }
  }
}

describe('the example backend of docs/verification.md', patience, () => {
  test('serves and charges a valid key, forwards rejections of the product, and answers 503 when verification is unavailable', async ({
    folder,
    startServer,
  }) => {
    const server = await startServer({ TOLLKEEPER_SERVICE_TOKEN: token });
    const { client: customer } = await aPerson(server);
    const { secret } = await createApiKey(customer, { name: 'laptop' });
    const { url } = await startBackend(folder, server.url);

    const served = await ask(url, { authorization: `Bearer ${secret}` });
    expect([served.status, await served.json()]).toEqual([200, { route: 'A to B', watermark: false }]);
    expect(served.headers.get('x-ratelimit-remaining')).toBe('59');
    expect((await creditsOf(customer)).balance).toBe(99);

    const refused = await ask(url);
    expect([refused.status, await refused.json()]).toEqual([
      401,
      { error: { code: 'missing_credential', message: 'Send an API key.' } },
    ]);

    await server.end();
    const unknown = await ask(url, { authorization: `Bearer ${secret}` });
    expect([unknown.status, await unknown.json()]).toEqual([
      503,
      { error: { code: 'unavailable', message: 'Try again in a moment.' } },
    ]);
  });
});
