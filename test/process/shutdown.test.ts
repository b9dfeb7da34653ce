import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { patience, type ServerProcess, test } from './server-process.js';

const token = `tks_${'Ending1'.repeat(5)}`;
const variables = { TOLLKEEPER_SERVICE_TOKEN: token };

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
});
