import { beforeAll, describe, expect, test } from 'vitest';
import { aKeyOf, aPerson, password } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ products: ['default', 'makepay'], database: 'own', clockStandsStill: true });
});

const ask = (headers: Record<string, string>) => server.anonymous.with(headers).send('{ viewer { kind } }');

/** The number of stored failures per kind, and the number of rows. */
async function stored() {
  await server.services.authenticationFailures.flush();
  const rows = await server.services.db.authenticationFailure.findMany();
  const ofKind = (kind: string) => rows.filter((row) => row.kind === kind);
  return {
    rows: rows.length,
    count: (kind: string) => ofKind(kind).reduce((sum, { failures }) => sum + Number(failures), 0),
  };
}

const signIn = (tried: string, email: string) =>
  server.fetch('/api/auth/sign-in/email', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: tried }),
  });

describe('a refused credential is counted by its apparent kind', () => {
  test.each([
    ['SERVICE_TOKEN', { authorization: `Bearer tks_${'x'.repeat(40)}` }],
    ['API_KEY', { authorization: `Bearer tk_live_${'x'.repeat(36)}` }],
    ['API_KEY', { authorization: `Bearer ${'x'.repeat(32)}` }],
    ['API_KEY', { 'x-makecrypto-key-id': 'mk_makepay_x', 'x-makecrypto-key-secret': 'mksec_x' }],
    ['MALFORMED', { authorization: 'Bearer two words' }],
    ['MALFORMED', { 'x-makecrypto-key-id': 'mk_makepay_x' }],
  ] as const)('%s in %j', async (kind, headers) => {
    const before = (await stored()).count(kind);
    expect((await ask(headers)).status).toBe(401);
    expect((await stored()).count(kind)).toBe(before + 1);
  });

  test('PASSWORD for a sign-in with a wrong password, and not for a successful one', async () => {
    const { email } = await aPerson(server);
    const before = (await stored()).count('PASSWORD');
    expect((await signIn('wrong horse battery', email)).status).toBe(401);
    expect((await signIn(password, email)).status).toBe(200);
    expect((await stored()).count('PASSWORD')).toBe(before + 1);
  });

  test('VERIFICATION for an unknown key, and not for a known or missing one', async () => {
    const { secret } = await aKeyOf(server, 'default');
    const before = (await stored()).count('VERIFICATION');
    for (const bearer of ['', secret, `${secret.slice(0, -1)}x`, 'nonsense']) {
      const { status } = await server.backend.send(
        'mutation ($bearer: String!) { verifyApiKey(input: { credential: { bearer: $bearer } }) { code } }',
        { bearer },
      );
      expect(status).toBe(200);
    }
    expect((await stored()).count('VERIFICATION')).toBe(before + 2);
  });

  test('nothing for a request that is not refused', async () => {
    const { token } = await aPerson(server);
    await stored();
    const { rows, count } = await stored();
    expect((await ask({})).status).toBe(200);
    expect((await ask({ authorization: `Bearer ${token}` })).status).toBe(200);
    const after = await stored();
    expect([after.rows, after.count('API_KEY')]).toEqual([rows, count('API_KEY')]);
  });
});

test('any number of authentication failures is one row per hour and kind, and no audit event', async () => {
  const events = await server.services.db.auditEvent.count();
  const before = await stored();
  await Promise.all(
    Array.from({ length: 500 }, (_, index) => ask({ authorization: `Bearer tks_${'y'.repeat(32)}${index}` })),
  );
  const after = await stored();
  expect(after.count('SERVICE_TOKEN')).toBe(before.count('SERVICE_TOKEN') + 500);
  // The clock of this server is frozen.
  expect(after.rows - before.rows).toBeLessThanOrEqual(1);
  expect(await server.services.db.auditEvent.count()).toBe(events);
});

test('a service token reads authentication failures per hour', async () => {
  await ask({ authorization: `Bearer tks_${'z'.repeat(32)}` });
  await server.services.authenticationFailures.flush();
  const now = server.clock.now().getTime();
  const from = new Date(now - 3_600_000).toISOString();
  const to = new Date(now + 3_600_000).toISOString();
  const { body } = await server.backend.send(
    'query ($from: DateTime!, $to: DateTime!) { authenticationFailures(from: $from, to: $to) { hour kind failures } }',
    { from, to },
  );
  expect(body).toEqual({
    data: {
      authenticationFailures: expect.arrayContaining([
        { hour: expect.stringMatching(/:00:00\.000Z$/), kind: 'SERVICE_TOKEN', failures: expect.any(Number) },
      ]),
    },
  });
});
