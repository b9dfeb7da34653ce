import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { password } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

const host = '127.0.0.1';
let server: TestServer;
let port: number;
let url: string;

beforeAll(async () => {
  server = await startServer({ products: ['default'], publicUrl: 'http://127.0.0.1:4000' });
  ({ url } = server);
  port = Number(new URL(url).port);
});

const json = { 'content-type': 'application/json' };

/** Sends a chunked body without Content-Length until the server responds or `bytes` are sent. */
async function sendChunks(path: string, bytes: number) {
  const sending = httpRequest({ host, port, method: 'POST', path, headers: json });
  sending.on('error', () => undefined);
  const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
  let isAnswered = false;
  void answered.then(() => {
    isAnswered = true;
  });
  let sent = 0;
  for (; sent < bytes && !isAnswered; sent += 50_000) {
    sending.write(' '.repeat(50_000));
    await sleep(1);
  }
  const [response] = await answered;
  const body = await text(response);
  sending.destroy();
  return { sent, status: response.statusCode, connection: response.headers.connection, body };
}

describe('over a real connection', () => {
  test('a person signs up and is identified by both the token and the cookie', async () => {
    const signedUp = await fetch(`${url}/api/auth/sign-up/email`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ name: 'Ada', email: 'wire@example.com', password }),
    });
    expect(signedUp.status).toBe(200);
    const { token } = (await signedUp.json()) as { token: string };
    const [cookie = ''] = signedUp.headers.getSetCookie();
    expect(cookie).not.toContain('Secure');
    const body = JSON.stringify({ query: '{ viewer { user { email } } }' });
    for (const headers of [
      { authorization: `Bearer ${token}` },
      { cookie: cookie.split(';', 1).join(''), origin: 'http://127.0.0.1:4000' },
      { cookie: cookie.split(';', 1).join(''), origin: 'http://localhost:4000' },
    ]) {
      const answer = await fetch(`${url}/graphql`, { method: 'POST', headers: { ...json, ...headers }, body });
      expect(await answer.json()).toEqual({ data: { viewer: { user: { email: 'wire@example.com' } } } });
    }
    const session = await server.services.db.authSession.findFirstOrThrow({
      where: { user: { email: 'wire@example.com' } },
    });
    expect(session.ipAddress).toBe('127.0.0.1');
  });

  test.each(['/graphql', '/api/auth/sign-up/email'])(
    'an endless chunked body to %s is refused with 413',
    async (path) => {
      const answer = await sendChunks(path, 20_000_000);
      expect(answer.status).toBe(413);
      expect(answer.body).toMatch(/"code":"BAD_USER_INPUT".*"requestId":"req_/);
      expect(answer.sent).toBeLessThan(10_000_000);
    },
  );

  test('a client that continues to send after a refusal can read it before the connection closes', async () => {
    const socket = connect(port, host);
    socket.on('error', () => undefined);
    const ended = once(socket, 'close');
    socket.write(
      'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99000000\r\n\r\n{',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /);
    await ended;
  });

  test('an aborted body is not logged as a failure', async () => {
    const before = server.logged().length;
    for (const path of ['/graphql', '/api/auth/sign-up/email']) {
      const socket = connect(port, host);
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"query"`,
      );
      await sleep(50);
      socket.destroy();
    }
    await sleep(100);
    expect(server.logged().slice(before)).not.toContain('"level":50');
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });

  test('a malformed Host or path is answered', async () => {
    for (const head of [
      'GET / HTTP/1.1\r\nHost: [::',
      'GET http://a b/ HTTP/1.1\r\nHost: x',
      'GET //// HTTP/1.1\r\nHost: x',
      'GET /api/auth/nothing HTTP/1.1\r\nHost: evil.example:80@127.0.0.1',
      'GET /graphql?query=%7B HTTP/1.1\r\nHost: evil.example:80@127.0.0.1',
    ]) {
      const socket = connect(port, host);
      socket.end(`${head}\r\nConnection: close\r\n\r\n`);
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 (200|302|400|404)/);
    }
  });

  test('the playground is compressed for a browser that accepts gzip', async () => {
    const response = await new Promise<IncomingMessage>((resolve) => {
      httpRequest(
        { host, port, path: '/graphql', headers: { accept: 'text/html', 'accept-encoding': 'gzip' } },
        resolve,
      ).end();
    });
    expect(response.headers['content-encoding']).toBe('gzip');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    expect(gunzipSync(Buffer.concat(chunks)).toString()).toContain('<title>Tollkeeper</title>');
  });

  test('200 concurrent requests are all answered', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const response = await fetch(`${url}/graphql`, {
          method: 'POST',
          headers: json,
          body: '{"query":"{ __typename }"}',
        });
        return response.json();
      }),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(
      new Set(['{"data":{"__typename":"Query"}}']),
    );
  });
});
