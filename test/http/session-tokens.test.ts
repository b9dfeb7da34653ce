import { beforeAll, describe, expect, test } from 'vitest';
import { listMigrations } from '../../src/db/migrations.js';
import { hashSecretHex } from '../../src/domain/access/secret-hash.js';
import { aPerson, password, postAuth } from '../factories.js';
import { publicUrl, startServer, type TestServer } from '../harness.js';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ products: ['default'] });
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const post = (path: string, body: unknown, headers: Record<string, string>) => postAuth(server, path, body, headers);

const statusOf = async (token: string) =>
  (await server.anonymous.with(bearer(token)).send('{ viewer { kind } }')).status;

describe('a stored session', () => {
  test('has the hash of its token, which signs no one in', async () => {
    const { id, token, email, cookie } = await aPerson(server);
    const stored = await server.services.db.authSession.findMany({ where: { userId: id } });
    expect(stored.map((session) => session.token)).toEqual([hashSecretHex(token)]);
    const [hash = ''] = stored.map((session) => session.token);
    expect(JSON.stringify(stored)).not.toContain(token);

    for (const stolen of [hash, hash.slice(0, 32), stored[0]?.id ?? '']) {
      expect(await statusOf(stolen)).toBe(401);
      const session = await server.fetch('/api/auth/get-session', { headers: bearer(stolen) });
      expect(await session.json()).toBeNull();
      expect((await post('/update-user', { name: 'Mallory' }, bearer(stolen))).status).toBe(401);
      await post('/sign-out', {}, bearer(stolen));
      const forged = cookie.replace(token, stolen);
      const viewer = server.anonymous.with({ cookie: forged, origin: publicUrl });
      expect((await viewer.send('{ viewer { kind } }')).status).toBe(401);
    }
    expect(await statusOf(token)).toBe(200);
    const viewer = await server.anonymous.with({ cookie, origin: publicUrl }).send('{ viewer { user { email } } }');
    expect(viewer.data).toEqual({ viewer: { user: { email } } });
  });

  test('is renewed under the same token when it is a day old', async () => {
    const { id, token, cookie } = await aPerson(server);
    const dayMs = 24 * 60 * 60 * 1000;
    const soon = new Date(Date.now() + 5 * dayMs);
    await server.services.db.authSession.updateMany({ where: { userId: id }, data: { expiresAt: soon } });
    const viewer = await server.anonymous.with({ cookie, origin: publicUrl }).send('{ viewer { kind } }');
    expect(viewer.status).toBe(200);
    expect(viewer.headers.getSetCookie().join()).toContain(token);
    const stored = await server.services.db.authSession.findFirstOrThrow({ where: { userId: id } });
    expect(stored.token).toBe(hashSecretHex(token));
    expect(stored.expiresAt.getTime()).toBeGreaterThan(soon.getTime() + dayMs);
    expect(await statusOf(token)).toBe(200);
  });

  test('is deleted by signing out', async () => {
    const person = await aPerson(server);
    const signedIn = await post('/sign-in/email', { email: person.email, password }, {});
    const { token: other } = (await signedIn.json()) as { token: string };
    expect((await post('/sign-out', {}, bearer(other))).status).toBe(200);
    expect([await statusOf(other), await statusOf(person.token)]).toEqual([401, 200]);
  });
});

test('the migration keeps open sessions open, and hashes no token twice', async () => {
  const { id, token } = await aPerson(server);
  const { db } = server.services;
  await db.authSession.updateMany({ where: { userId: id }, data: { token } });
  expect(await statusOf(token)).toBe(401);
  const migration = (await listMigrations()).find(({ name }) => name.endsWith('_hash_session_tokens'));
  for (let run = 0; run < 2; run += 1) {
    await db.$executeRawUnsafe(migration?.script ?? '');
    expect(await statusOf(token)).toBe(200);
  }
});
