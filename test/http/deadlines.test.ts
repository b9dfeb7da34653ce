import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { createDeadlines } from '../../src/http/deadlines.js';
import { RequestScope } from '../../src/http/request-scope.js';

const host = '127.0.0.1';
/** After a few checks. */
const checkedMs = 400;
const msMax = 100;
let server: Server;
let sockets: Socket[] = [];
let expired: string[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  expired = [];
  server.close();
  await once(server, 'close');
});

/** A server that answers a path at once, unless it is `/never` or `/stream`. */
async function serve(): Promise<number> {
  const startDeadline = createDeadlines(({ request }) => expired.push(request.url ?? ''), msMax);
  server = createServer((request, response) => {
    const deadline = startDeadline(new RequestScope(request, `http://${host}`), response);
    if (request.url === '/never') return;
    if (request.url !== '/stream') {
      response.end('answered');
      return;
    }
    const writing = setInterval(() => {
      response.write('.');
      deadline.postpone();
    }, 20);
    response.once('close', () => clearInterval(writing));
  });
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Opens a connection and sends requests for these paths over it without waiting. */
function send(port: number, ...paths: string[]) {
  const socket = connect(port, host);
  sockets.push(socket);
  const state = { received: '', isClosed: false };
  socket.on('data', (chunk) => {
    state.received += String(chunk);
  });
  socket.once('close', () => {
    state.isClosed = true;
  });
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`).join(''));
  return state;
}

test('a request without a response is ended after the deadline', async () => {
  const connection = send(await serve(), '/never');
  await sleep(checkedMs);
  expect({ ...connection, expired }).toEqual({ received: '', isClosed: true, expired: ['/never'] });
});

test('a connection that is idle after its response stays open', async () => {
  const connection = send(await serve(), '/answered');
  await sleep(checkedMs);
  expect({ isClosed: connection.isClosed, expired }).toEqual({ isClosed: false, expired: [] });
});

test('a stream that the client reads is not ended', async () => {
  const connection = send(await serve(), '/stream');
  await sleep(checkedMs);
  expect({ isClosed: connection.isClosed, expired }).toEqual({ isClosed: false, expired: [] });
});

test('the oldest request of a connection decides, whatever is pipelined behind it', async () => {
  const port = await serve();
  const [answeredFirst, unanswered] = [send(port, '/answered', '/stream'), send(port, '/never', '/stream')];
  await sleep(checkedMs);
  expect({ ...unanswered, expired }).toEqual({ received: '', isClosed: true, expired: ['/never'] });
  expect(answeredFirst.isClosed).toBe(false);
});
