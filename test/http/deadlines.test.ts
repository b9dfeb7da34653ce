import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createDeadlines, type Deadline } from '../../src/http/deadlines.js';
import { RequestScope } from '../../src/http/request-scope.js';

const host = '127.0.0.1';
const deadlineMs = 120_000;
let server: Server;
let sockets: Socket[];
/** The paths of the requests that were ended. */
let expired: string[];
/** Of the requests that arrived, by their paths. */
let deadlines: Map<string, Deadline>;

beforeEach(() => {
  // Only what the deadlines use: sockets need the other timers.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  [sockets, expired, deadlines] = [[], [], new Map()];
});

afterEach(async () => {
  vi.useRealTimers();
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
});

/**
 * A server that answers each path that begins with `/answered`, and begins a response to each with `/stream`.
 */
async function serve(): Promise<number> {
  const startDeadline = createDeadlines(({ request }) => expired.push(request.url ?? ''));
  server = createServer((request, response) => {
    const path = request.url ?? '';
    deadlines.set(path, startDeadline(new RequestScope(request, response, `http://${host}`), response));
    if (path.startsWith('/answered')) response.end('answered');
    if (path.startsWith('/stream')) response.write('begun');
  });
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/**
 * Opens a connection, sends requests for these paths over it without waiting, and waits until they arrived.
 */
async function send(port: number, ...paths: string[]) {
  const socket = connect(port, host);
  sockets.push(socket);
  const connection = { isClosed: false, closed: once(socket, 'close') };
  socket.once('close', () => {
    connection.isClosed = true;
  });
  socket.resume();
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`).join(''));
  await vi.waitUntil(() => paths.every((path) => deadlines.has(path)));
  return connection;
}

test('a request without a response is ended after two minutes', async () => {
  const connection = await send(await serve(), '/never');
  vi.advanceTimersByTime(deadlineMs - 1_000);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(expired).toEqual(['/never']);
  await connection.closed;
});

test('a connection that is idle after its response stays open', async () => {
  const connection = await send(await serve(), '/answered');
  await vi.waitUntil(() => deadlines.get('/answered')?.response.writableFinished);
  vi.advanceTimersByTime(2 * deadlineMs);
  expect({ isClosed: connection.isClosed, expired }).toEqual({ isClosed: false, expired: [] });
});

test('a stream is ended two minutes after the client has taken the last part', async () => {
  const connection = await send(await serve(), '/stream');
  vi.advanceTimersByTime(deadlineMs - 1_000);
  deadlines.get('/stream')?.postpone();
  vi.advanceTimersByTime(deadlineMs - 1_000);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(expired).toEqual(['/stream']);
  await connection.closed;
});

test('the oldest request without a response decides, whatever is pipelined before and behind it', async () => {
  const port = await serve();
  const connection = await send(port, '/answered', '/never');
  await vi.waitUntil(() => deadlines.get('/answered')?.response.writableFinished);
  vi.advanceTimersByTime(deadlineMs - 1_000);
  sockets[0]?.write(`GET /stream HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
  await vi.waitUntil(() => deadlines.has('/stream'));
  vi.advanceTimersByTime(2_000);
  expect(expired).toEqual(['/never']);
  await connection.closed;
});
