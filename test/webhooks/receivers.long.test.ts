import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { signWebhook } from '../../src/domain/webhooks/signature.js';
import { freePort } from '../process/server-process.js';
import { aCustomer, aWebhookServer, createEndpoint, publish, readDeliveries, rotateSigningSecret } from './customer.js';

const pathOf = (name: string) => fileURLToPath(new URL(`../../docs/receivers/${name}`, import.meta.url));

/** A receiver of the documentation in a separate process, and its output lines. */
async function startReceiver(command: string, script: string, secret: string) {
  const port = await freePort();
  const child: ChildProcess = spawn(command, [pathOf(script)], {
    env: { PATH: process.env.PATH, PORT: String(port), WEBHOOK_SECRET: secret },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill());
  if (child.stdout === null) throw new Error('Its output is piped.');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  return { url: `http://127.0.0.1:${port}/`, nextLine: async () => String((await lines.next()).value) };
}

const receivers = [
  ['Node', process.execPath, 'receiver.mjs', true],
  ['Python', 'python3', 'receiver.py', spawnSync('python3', ['--version']).status === 0],
] as const;

describe.each(receivers)('the receiver in %s', (_name, command, script, isThere) => {
  test.skipIf(!isThere)('accepts deliveries of this server, including during the overlap of a rotation', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await startReceiver(command, script, customer.signingSecret);
    const endpoint = await createEndpoint(customer, receiver.url, ['job.finished']);
    for (const note of ['first', 'während']) {
      const event = await publish(server, customer.apiKeyId, 'job.finished', { note });
      await server.deliver();
      expect(await receiver.nextLine()).toMatch(new RegExp(`^${event.id} job.finished \\{"note": ?".*"\\}$`));
      await rotateSigningSecret(customer.client, customer.apiKeyId, 600);
    }
    const deliveries = await readDeliveries(customer.client, { endpointId: endpoint.id });
    expect(deliveries.map(({ state, attempts }) => [state, attempts.nodes[0]?.status])).toEqual([
      ['DELIVERED', 204],
      ['DELIVERED', 204],
    ]);
  });

  test.skipIf(!isThere)('refuses requests that are not signed correctly', async () => {
    const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
    const other = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
    const { url } = await startReceiver(command, script, secret);
    const body = '{"type":"job.finished","timestamp":"2030-01-01T00:00:00.000Z","data":{}}';
    const now = new Date();
    const sign = (at = now, by = secret) => ({ ...signWebhook('evt_1', at, body, [by]) });
    const post = async (headers: Record<string, string>, text = body) =>
      (await fetch(url, { method: 'POST', headers, body: text })).status;
    expect(await post(sign())).toBe(204);
    const minutes = (count: number) => new Date(now.getTime() + count * 60_000);
    const refused: Record<string, Promise<number>> = {
      'without headers': post({}),
      'another secret': post(sign(now, other)),
      'another body': post(sign(), body.replace('finished', 'started')),
      'another id': post({ ...sign(), 'webhook-id': 'evt_2' }),
      'another time': post({ ...sign(), 'webhook-timestamp': String(Math.floor(now.getTime() / 1000) + 1) }),
      'no time': post({ ...sign(), 'webhook-timestamp': 'now' }),
      'long ago': post(sign(minutes(-10))),
      'in the future': post(sign(minutes(10))),
      'an empty signature': post({ ...sign(), 'webhook-signature': '' }),
      'another version': post({ ...sign(), 'webhook-signature': sign()['webhook-signature'].replace('v1', 'v2') }),
      'half a signature': post({ ...sign(), 'webhook-signature': sign()['webhook-signature'].slice(0, 20) }),
    };
    for (const [what, status] of Object.entries(refused)) expect.soft(await status, what).toBe(401);
  });
});
