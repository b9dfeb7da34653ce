import { toNodeHandler } from 'better-auth/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { networkOf } from '../../src/http/attempt-limits.js';
import { createAuthRoute } from '../../src/http/auth-route.js';
import { listen } from '../../src/http/listen.js';
import { createOrigins } from '../../src/http/origins.js';
import { RequestScope } from '../../src/http/request-scope.js';
import { openTestDatabase } from '../database.js';
import { aPerson, postAuth } from '../factories.js';
import { publicUrl, startServer, type TestServer } from '../harness.js';
import { connectTo } from '../http-client.js';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ products: ['default'] });
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}, to: TestServer = server) =>
  postAuth(to, path, body, headers);

const ada = () => ({ name: 'Ada', email: `${crypto.randomUUID()}@example.com`, password: 'correct horse battery' });

describe('signing up', () => {
  test('returns a token and a cookie, and creates a PERSONAL workspace that the person owns', async () => {
    const person = ada();
    const response = await post('/sign-up/email', person);
    expect(response.status).toBe(200);
    const body = (await response.json()) as { token: string; user: { id: string } };
    expect(body).toMatchObject({
      token: expect.stringMatching(/^[A-Za-z0-9]{32}$/),
      user: { id: expect.stringMatching(/^usr_[0-9a-f]{32}$/), email: person.email, name: 'Ada' },
    });
    expect(response.headers.getSetCookie()).toEqual([
      expect.stringMatching(
        /^__Secure-tollkeeper\.session_token=.+; Max-Age=604800; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      ),
    ]);
    const workspaces = await server.services.db.workspace.findMany({
      where: { personalOwnerId: body.user.id },
      include: { members: true, creditAccount: true },
    });
    expect(workspaces).toMatchObject([
      { kind: 'PERSONAL', members: [{ userId: body.user.id, role: 'OWNER' }], creditAccount: { balance: 0 } },
    ]);
  });

  test('neither stores the plaintext password nor logs it or the token', async () => {
    const hashing = await startServer({ products: ['default'], passwordHashing: undefined });
    const person = { ...ada(), password: 'a password to look for' };
    const { token } = (await (await post('/sign-up/email', person, {}, hashing)).json()) as { token: string };
    const account = await hashing.services.db.authAccount.findFirstOrThrow({
      where: { user: { email: person.email } },
    });
    expect(account.password).not.toContain('password to look for');
    expect(hashing.logged()).not.toContain(person.password);
    expect(hashing.logged()).not.toContain(token);
  });

  test.each([
    ['an empty name', { name: '  ' }, 'name'],
    ['an overlong name', { name: 'x'.repeat(101) }, 'name'],
    ['a name with a control character', { name: 'a\u0000b' }, 'name'],
    ['an image that is not an http(s) URL', { image: 'javascript:alert(1)' }, 'image'],
    ['an image URL that is too long', { image: `https://example.com/${'x'.repeat(2_000)}` }, 'image'],
  ])('with %s is refused with an error that names the field, and creates no user', async (_name, wrong, field) => {
    const person = { ...ada(), ...wrong };
    const response = await post('/sign-up/email', person);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'BAD_USER_INPUT', field, message: expect.any(String) });
    expect(await server.services.db.user.count({ where: { email: person.email } })).toBe(0);
  });

  test('with an email address that is already used is refused', async () => {
    const person = ada();
    await post('/sign-up/email', person);
    const response = await post('/sign-up/email', { ...person, email: person.email.toUpperCase() });
    expect(response.status).toBe(422);
  });

  test('twice concurrently with one email address creates one user', async () => {
    const person = ada();
    const answers = await Promise.all([post('/sign-up/email', person), post('/sign-up/email', person)]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await server.services.db.user.count({ where: { email: person.email } })).toBe(1);
    const refused = answers.find(({ status }) => status !== 200);
    expect(await refused?.text()).not.toMatch(/prisma|unique|constraint|stack/i);
  });
});

describe('signing in', () => {
  test('with the right password succeeds, and a wrong password and an unknown user get the same response', async () => {
    const person = ada();
    await post('/sign-up/email', person);
    const { email, password } = person;
    expect((await post('/sign-in/email', { email, password })).status).toBe(200);
    const wrong = await post('/sign-in/email', { email, password: 'another password' });
    const unknown = await post('/sign-in/email', { email: 'unknown@example.com', password });
    expect([wrong.status, await wrong.text()]).toEqual([unknown.status, await unknown.text()]);
    expect(wrong.status).toBe(401);
  });

  test('is refused with Retry-After after 60 attempts per minute from one address, regardless of X-Forwarded-For', async () => {
    const other = await startServer({ products: ['default'], clockStandsStill: true });
    const attempt = () =>
      other.fetch('/api/auth/sign-in/email', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': crypto.randomUUID() },
        body: '{}',
      });
    for (let tries = 0; tries < 60; tries += 1) expect((await attempt()).status).toBe(400);
    const refused = await attempt();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(await refused.json()).toMatchObject({ code: 'RATE_LIMITED', requestId: expect.any(String) });
  });

  test('is limited per /64 network for IPv6 and per address for IPv4', () => {
    const addresses = ['2001:db8::1', '2001:db8:0:0:ffff::1', '2001:db8:0:1::1', '192.0.2.1', '::ffff:192.0.2.1'];
    const [one, neighbour, other, v4, mapped] = addresses.map(networkOf);
    expect(neighbour).toBe(one);
    expect(other).not.toBe(one);
    expect(v4).toBe('192.0.2.1');
    expect(mapped).toBe(v4);
  });

  test('a page of another origin cannot sign up', async () => {
    const person = ada();
    const response = await post('/sign-up/email', person, { origin: 'https://evil.example' });
    expect(response.status).toBe(403);
    expect(await server.services.db.user.count({ where: { email: person.email } })).toBe(0);
  });
});

test.each<[string, Record<string, string>, number]>([
  ['a client without an Origin header, such as the fetch of Node, may sign in', { 'sec-fetch-mode': 'cors' }, 401],
  ['a form of another site may not sign in', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 403],
  ['a page with the origin "null" may not sign in', { 'sec-fetch-site': 'cross-site', origin: 'null' }, 403],
])('%s', async (_name, headers, status) => {
  const response = await post('/sign-in/email', { email: 'unknown@example.com', password: 'correct horse' }, headers);
  expect(response.status).toBe(status);
});

describe('errors of the authentication route reveal no internals', () => {
  test.each([
    ['broken JSON', '{', 400],
    ['an empty body', '', 400],
    ['values that are not strings', { email: 1, password: [], name: {} }, 400],
    [
      'a NUL character in the email address',
      { name: 'a', email: 'a\u0000@example.com', password: 'correct horse' },
      400,
    ],
  ])('%s', async (_name, body, status) => {
    const response = await post('/sign-up/email', body);
    expect(response.status).toBe(status);
    expect(await response.text()).not.toMatch(/prisma|stack|node_modules|invocation/i);
  });

  test.each([
    '/nonsense',
    '/error',
    '/ok',
    '/',
    '//get-session',
    '/get-session/',
    '/sign-in/social',
    '/sign-in/email/',
    '/callback/google',
    '/request-password-reset',
    '/reset-password',
    '/reset-password/token',
    '/verify-email',
    '/verify-password',
    '/set-password',
    '/send-verification-email',
    '/change-email',
    '/delete-user',
    '/delete-user/callback',
    '/link-social',
    '/unlink-account',
    '/list-accounts',
    '/account-info',
    '/refresh-token',
    '/get-access-token',
    '/update-session',
    '/revoke-sessions',
  ])('the unsupported path %s answers 404', async (path) => {
    for (const method of ['GET', 'POST']) {
      const response = await server.fetch(`/api/auth${path}`, { method });
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ code: 'NOT_FOUND', requestId: expect.any(String) });
    }
  });

  test('a database failure answers 500 or 503 without naming the database', async () => {
    const database = await openTestDatabase();
    const broken = await startServer({ products: ['default'], database });
    const { token } = await aPerson(broken);
    await database.close();
    const signIn = await broken.fetch('/api/auth/sign-in/email', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'a@example.com', password: 'correct horse' }),
    });
    expect(signIn.status).toBeGreaterThanOrEqual(500);
    expect(await signIn.text()).not.toMatch(/prisma|pglite|sql|postgres|closed/i);
    const viewer = await broken.anonymous.with({ authorization: `Bearer ${token}` }).send('{ viewer { kind } }');
    expect(viewer.status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(viewer.body)).not.toMatch(/prisma|pglite|sql|postgres|closed/i);
    expect((await broken.fetch('/health/ready')).status).toBe(503);
    expect((await broken.fetch('/health/live')).status).toBe(200);
  });
});

test('a session token works for the other routes of better-auth, which validate name and image', async () => {
  const { token } = await aPerson(server);
  const authorization = `Bearer ${token}`;
  expect(await (await server.fetch('/api/auth/get-session', { headers: { authorization } })).json()).toMatchObject({
    user: { name: 'Ada' },
  });
  expect((await post('/update-user', { name: 'Ada L.' }, { authorization })).status).toBe(200);
  expect((await post('/update-user', { name: 'x'.repeat(101) }, { authorization })).status).toBe(400);
  expect((await post('/update-user', { image: 'ftp://example.com' }, { authorization })).status).toBe(400);
  expect(await (await server.fetch('/api/auth/get-session', { headers: { authorization } })).json()).toMatchObject({
    user: { name: 'Ada L.', image: null },
  });
});

describe('better-auth receives the request as this server sees it', () => {
  const hostile = {
    host: 'evil.example',
    forwarded: 'for=203.0.113.9;host=evil.example;proto=javascript',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'javascript',
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-port': '1',
    'x-real-ip': '203.0.113.9',
    'x-tollkeeper-address': '203.0.113.9',
  };

  test.each(['/api/auth/get-session?a=b', 'http://evil.example/api/auth/get-session?a=b'])(
    'a client cannot choose the host, protocol or address: %s',
    async (target) => {
      const handle = toNodeHandler((request) =>
        Promise.resolve(Response.json({ url: request.url, headers: Object.fromEntries(request.headers) })),
      );
      const answerAuth = createAuthRoute({
        services: server.services,
        sessions: { handle, findByHeaders: () => Promise.resolve(null) },
        origins: createOrigins(publicUrl, []),
      });
      const listening = await listen(
        {
          handle: (request, response) =>
            void answerAuth(new RequestScope(request, response, publicUrl)).then(({ body }) => response.end(body)),
          drain: () => undefined,
        },
        { host: '127.0.0.1', port: 0 },
      );
      const { fetch, disconnect } = connectTo(listening.port);
      const seen = (await (await fetch(target, { headers: { ...hostile, accept: 'text/x' } })).json()) as object;
      disconnect();
      await listening.close();
      expect(seen).toEqual({
        url: `${publicUrl}/api/auth/get-session?a=b`,
        headers: expect.objectContaining({ accept: 'text/x', host: 'keys.example.com', 'x-forwarded-proto': 'https' }),
      });
      expect(seen).toMatchObject({ headers: { 'x-tollkeeper-address': '127.0.0.1' } });
      expect(JSON.stringify(seen)).not.toMatch(/evil|javascript|203\.0\.113/);
    },
  );

  test('signing up ignores Host and forwarded headers and records the address of the connection', async () => {
    for (const headers of [hostile, { host: 'a"b<c>' }, { host: '' }, { 'x-forwarded-proto': 'a b', host: 'x' }]) {
      const response = await post('/sign-up/email', ada(), headers);
      expect(response.status).toBe(200);
      const { user } = (await response.json()) as { user: { id: string } };
      const session = await server.services.db.authSession.findFirstOrThrow({ where: { userId: user.id } });
      expect(session.ipAddress).toBe('127.0.0.1');
    }
  });
});
