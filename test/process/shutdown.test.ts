import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { aCustomerWithKey, creditsOf, grantOne, withToken } from './customer.js';
import { patience, type ServerProcess, test } from './server-process.js';

const token = `tks_${'Ending1'.repeat(5)}`;
const variables = { TOLLKEEPER_SERVICE_TOKEN: token, TOLLKEEPER_MUTATIONS_PER_MINUTE: '1000000' };

/** A request whose body is sent in two halves, the second by `finish`. */
async function beginRequest(server: ServerProcess) {
  const body = JSON.stringify({ query: '{ viewer { kind } }' });
  const sending = request(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': body.length, authorization: `Bearer ${token}` },
  });
  const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
  const half = body.length / 2;
  await new Promise((resolve) => sending.write(body.slice(0, half), resolve));
  return {
    async finish() {
      sending.end(body.slice(half));
      const [response] = await answered;
      return { status: response.statusCode, body: JSON.parse(await text(response)) };
    },
  };
}

describe('the end of a server', patience, () => {
  test('by SIGTERM finishes requests in flight, refuses new ones, and exits with 0', async ({ startServer }) => {
    const server = await startServer(variables);
    const slow = await beginRequest(server);
    // Waits until the first half has arrived.
    await sleep(200);
    server.signal('SIGTERM');
    await server.said('shutting down');

    await expect(server.fetch('/health/live')).rejects.toThrow('fetch failed');
    expect(await slow.finish()).toEqual({ status: 200, body: { data: { viewer: { kind: 'SERVICE' } } } });
    expect(await server.ended()).toMatchObject({ code: 0, stderr: '' });
  });

  test('by kill -9 loses no acknowledged write, and the next start works immediately', async ({ startServer }) => {
    const killed = await startServer(variables);
    const { session, workspaceId } = await aCustomerWithKey(killed);
    const backend = withToken(killed, token);
    const acknowledged: string[] = [];
    const grantUntilKilled = async (lane: number) => {
      for (let turn = 0; ; turn += 1) {
        const reason = `grant ${lane}.${turn}`;
        await grantOne(backend, workspaceId, reason);
        acknowledged.push(reason);
      }
    };
    const lanes = [1, 2, 3, 4].map((lane) => grantUntilKilled(lane).catch(() => undefined));
    while (acknowledged.length < 40) await sleep(5);
    await killed.end('SIGKILL');
    await Promise.all(lanes);

    const next = await startServer(variables);
    const { balance, reasons } = await creditsOf(withToken(next, session));
    expect(acknowledged.filter((reason) => !reasons.includes(reason))).toEqual([]);
    // 100 free credits and one per grant; per lane at most one grant was written but not acknowledged.
    expect(balance - 100 - acknowledged.length).toBeGreaterThanOrEqual(0);
    expect(balance - 100 - acknowledged.length).toBeLessThanOrEqual(lanes.length);
  });
});
