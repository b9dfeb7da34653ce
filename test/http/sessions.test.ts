import { beforeAll, describe, expect, test } from 'vitest';
import { aPerson, type Person, password, postAuth } from '../factories.js';
import { publicUrl, startServer, type TestServer } from '../harness.js';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ products: ['default'] });
});

interface ShownSession {
  readonly id: string;
  readonly current: boolean;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const post = (path: string, body: unknown, headers: Record<string, string>) => postAuth(server, path, body, headers);

async function signInAgain({ email }: Person): Promise<string> {
  const response = await post('/sign-in/email', { email, password }, {});
  return ((await response.json()) as { token: string }).token;
}

async function list(token: string): Promise<ShownSession[]> {
  const response = await server.fetch('/api/auth/list-sessions', { headers: bearer(token) });
  expect(response.status).toBe(200);
  return (await response.json()) as ShownSession[];
}

const statusOf = async (token: string) =>
  (await server.anonymous.with(bearer(token)).send('{ viewer { kind } }')).status;

describe('no answer returns the token of an existing session', () => {
  test('get-session', async () => {
    const { id, email, token } = await aPerson(server);
    const text = await (await server.fetch('/api/auth/get-session', { headers: bearer(token) })).text();
    expect(JSON.parse(text)).toMatchObject({
      session: { id: expect.stringMatching(/^ses_/), userId: id, expiresAt: expect.any(String) },
      user: { id, email },
    });
    expect(text).not.toContain(token);
    expect(text).not.toContain('"token"');
  });

  test('list-sessions, which says which one is the current', async () => {
    const person = await aPerson(server);
    const other = await signInAgain(person);
    const sessions = await list(other);
    expect(sessions.map(({ current }) => current).sort()).toEqual([false, true]);
    for (const session of sessions) {
      expect(Object.keys(session).sort()).toEqual(
        ['createdAt', 'current', 'expiresAt', 'id', 'ipAddress', 'updatedAt', 'userAgent', 'userId'].sort(),
      );
    }
  });

  test('without a session, both say so', async () => {
    expect(await (await server.fetch('/api/auth/get-session')).json()).toBeNull();
    expect((await server.fetch('/api/auth/list-sessions')).status).toBe(401);
  });
});

describe('revoking sessions', () => {
  test('ends one by its id, of the same user only', async () => {
    const person = await aPerson(server);
    const other = await signInAgain(person);
    const stranger = await aPerson(server);
    const id = (await list(person.token)).find(({ current }) => !current)?.id ?? '';

    for (const wrong of [{ id }, { id: 'ses_unknown' }]) {
      const refused = await post('/revoke-session', wrong, bearer(stranger.token));
      expect(refused.status).toBe(404);
      expect(await refused.json()).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
    }
    expect((await post('/revoke-session', { token: other }, bearer(person.token))).status).toBe(400);
    expect(await statusOf(other)).toBe(200);

    expect((await post('/revoke-session', { id }, bearer(person.token))).status).toBe(200);
    expect([await statusOf(other), await statusOf(person.token)]).toEqual([401, 200]);
  });

  test('ends all others', async () => {
    const person = await aPerson(server);
    const others = [await signInAgain(person), await signInAgain(person)];
    const stranger = await aPerson(server);
    expect((await post('/revoke-other-sessions', {}, bearer(person.token))).status).toBe(200);
    expect(await Promise.all([...others, person.token, stranger.token].map(statusOf))).toEqual([401, 401, 200, 200]);
  });

  test('needs a session', async () => {
    expect((await post('/revoke-session', { id: 'ses_x' }, {})).status).toBe(401);
    expect((await post('/revoke-other-sessions', {}, {})).status).toBe(401);
  });
});

test('the cookie of a session counts for no endpoint without an allowed origin', async () => {
  const { cookie } = await aPerson(server);
  const read = async (path: string, headers: Record<string, string>) =>
    server.fetch(`/api/auth${path}`, { headers: { cookie, ...headers } });
  for (const headers of [{}, { origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
    expect(await (await read('/get-session', headers)).json()).toBeNull();
    expect((await read('/list-sessions', headers)).status).toBe(401);
    expect((await post('/update-user', { name: 'Mallory' }, { cookie, ...headers })).status).toBeGreaterThanOrEqual(
      400,
    );
  }
  for (const headers of [{ origin: publicUrl }, { 'sec-fetch-site': 'same-origin' }]) {
    expect(await (await read('/get-session', headers)).json()).toMatchObject({ user: { name: 'Ada' } });
    expect((await read('/list-sessions', headers)).status).toBe(200);
  }
  expect((await post('/update-user', { name: 'Ada L.' }, { cookie, origin: publicUrl })).status).toBe(200);
});
