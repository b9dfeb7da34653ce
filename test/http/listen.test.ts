import { once } from 'node:events';
import {
  Agent,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { StartError } from '../../src/errors.js';
import { type Listening, listen } from '../../src/http/listen.js';

const host = '127.0.0.1';
let listening: Listening[] = [];

afterEach(async () => {
  await Promise.all(listening.map(({ close }) => close()));
  listening = [];
});

/** Serves a request listener; by default one that describes the request. */
async function serve(answer: RequestListener = describeRequest) {
  const server = await listen({ handle: answer, drain: () => undefined }, { host, port: 0 });
  listening.push(server);
  return server;
}

function describeRequest(request: IncomingMessage, response: ServerResponse): void {
  void text(request).then((body) =>
    response.end(
      JSON.stringify({
        url: request.url,
        address: request.socket.remoteAddress,
        authorization: request.headers.authorization,
        body,
      }),
    ),
  );
}

/** Writes bytes and reads until the peer ends the connection. */
async function speak(port: number, text: string): Promise<string> {
  const socket: Socket = connect(port, host);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test('the handler receives the body and the client address of a request', async () => {
  const { port } = await serve();
  const response = await fetch(`http://${host}:${port}/path?a=b`, { method: 'POST', body: 'text' });
  expect(await response.json()).toMatchObject({ url: '/path?a=b', address: host, body: 'text' });
});

test('two Authorization headers are joined, and none is dropped', async () => {
  const { port } = await serve();
  const answer = await speak(
    port,
    'GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\nConnection: close\r\n\r\n',
  );
  expect(answer).toContain('"authorization":"Bearer a, Bearer b"');
});

test.each(['a b', 'x"y', '[::', 'x\\y/../z'])(
  'a malformed Host is answered and does not stop the server: %s',
  async (name) => {
    const { port } = await serve();
    const answer = await speak(port, `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 (200|400)/);
    expect((await fetch(`http://${host}:${port}/`)).status).toBe(200);
  },
);

test('headers of more than 16 KB are refused with 431', async () => {
  const { port } = await serve();
  const answer = await speak(port, `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(17_000)}\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 431/);
});

test('a refusal arrives although the body is not read to its end', async () => {
  const { port } = await serve((_request, response) => void response.writeHead(413).end('no'));
  const sending = httpRequest({ host, port, method: 'POST' });
  const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
  sending.on('error', () => undefined);
  sending.write('x'.repeat(100_000));
  const [response] = await answered;
  expect(response.statusCode).toBe(413);
  sending.destroy();
});

describe('closing the listener', () => {
  test('finishes requests in flight and accepts no new connections', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = await serve((_request, response) => {
      void released.then(() => response.end('done'));
    });
    const inFlight = fetch(`http://${host}:${server.port}/`);
    await sleep(50);
    const closed = server.close();
    await sleep(50);
    await expect(fetch(`http://${host}:${server.port}/`)).rejects.toThrow();
    release();
    expect(await (await inFlight).text()).toBe('done');
    await closed;
  });

  test('does not wait for idle connections, used or unused', async () => {
    const server = await serve();
    const agent = new Agent({ keepAlive: true });
    const used = httpRequest({ host, port: server.port, agent }).end();
    const [response] = (await once(used, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    const unused = connect(server.port, host);
    await once(unused, 'connect');
    const startedAt = performance.now();
    await server.close();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    agent.destroy();
    unused.destroy();
  });
});

describe('listening fails with an explanation for', () => {
  test('a port in use', async () => {
    const { port } = await serve();
    const again = listen({ handle: describeRequest, drain: () => undefined }, { host, port });
    await expect(again).rejects.toThrow(StartError);
    await expect(again).rejects.toThrow(
      `Port ${port} on ${host} is in use. Stop what listens there, or set PORT to another one.`,
    );
  });

  test('an address that this machine does not have', async () => {
    const failed = listen({ handle: describeRequest, drain: () => undefined }, { host: '192.0.2.1', port: 0 });
    await expect(failed).rejects.toThrow(StartError);
    await expect(failed).rejects.toThrow('This machine has no address 192.0.2.1.');
  });
});
