import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { aPerson, password, postAuth } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

/** A server behind a proxy on this machine, so that a test can send from many addresses. */
const aLimitedServer = () =>
  startServer({
    products: ['default'],
    clockStandsStill: true,
    attemptLimits: undefined,
    trustedProxies: { kind: 'networks', networks: [{ address: '127.0.0.1', prefix: 32 }] },
  });

const attacker = '203.0.113.9';
const customer = '198.51.100.7';

const post = (server: TestServer, path: string, body: unknown, address: string, headers: Record<string, string> = {}) =>
  postAuth(server, path, body, { 'x-forwarded-for': address, ...headers });

/** Repeats an attempt until it is refused. @returns how often it was not, and the seconds to wait */
async function untilRefused(attempt: () => Promise<Response>, triesMax = 2_000) {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const response = await attempt();
    if (response.status === 429) return { tries, wait: Number(response.headers.get('retry-after')) };
  }
  throw new Error('No attempt was refused.');
}

const minuteMs = 60_000;

describe('signing in', () => {
  test('to one account from one address is refused after 10 attempts, and the wait grows', async () => {
    const server = await aLimitedServer();
    const { email } = await aPerson(server);
    const guess = () => post(server, '/sign-in/email', { email, password: 'a wrong password' }, attacker);
    expect(await untilRefused(guess)).toEqual({ tries: 10, wait: 60 });
    server.clock.advance(minuteMs);
    expect(await untilRefused(guess)).toEqual({ tries: 10, wait: 60 });
    server.clock.advance(minuteMs);
    // Now the hour is used up, too.
    expect(await untilRefused(guess)).toEqual({ tries: 10, wait: 3_480 });
    server.clock.advance(minuteMs);
    expect((await untilRefused(guess)).tries).toBe(0);
  });

  test('a flood from one address locks neither the account for other addresses nor an open session', async () => {
    const server = await aLimitedServer();
    const { email, client, token } = await aPerson(server);
    const guess = () => post(server, '/sign-in/email', { email, password: 'a wrong password' }, attacker);
    for (let minute = 0; minute < 30; minute += 1) {
      await untilRefused(guess);
      server.clock.advance(minuteMs);
    }
    expect((await post(server, '/sign-in/email', { email, password }, customer)).status).toBe(200);
    expect((await client.send('{ viewer { kind } }')).status).toBe(200);
    const session = await server.fetch('/api/auth/get-session', { headers: { authorization: `Bearer ${token}` } });
    expect(await session.json()).not.toBeNull();
  });

  test('to many accounts from one address is refused after 60 attempts, and other addresses go on', async () => {
    const server = await aLimitedServer();
    const { email } = await aPerson(server);
    const guess = () =>
      post(server, '/sign-in/email', { email: `${randomUUID()}@example.com`, password: 'a wrong password' }, attacker);
    expect(await untilRefused(guess)).toEqual({ tries: 60, wait: 60 });
    expect((await post(server, '/sign-in/email', { email, password }, customer)).status).toBe(200);
  });

  test('to one account from many addresses is refused after 200 attempts', async () => {
    const server = await aLimitedServer();
    const { email } = await aPerson(server);
    let host = 0;
    const guess = () => {
      host += 1;
      return post(server, '/sign-in/email', { email, password: 'a wrong password' }, `10.0.${host >> 8}.${host & 255}`);
    };
    expect((await untilRefused(guess)).tries).toBe(200);
  });

  test('the refusal says what to do, and a case of the address is no other account', async () => {
    const server = await aLimitedServer();
    const email = `${randomUUID()}@example.com`;
    let tries = 0;
    await untilRefused(() => {
      tries += 1;
      const tried = tries % 2 ? email : ` ${email.toUpperCase()}`;
      return post(server, '/sign-in/email', { email: tried, password }, attacker);
    });
    expect(tries).toBe(11);
    const refused = await post(server, '/sign-in/email', { email, password }, attacker);
    expect(await refused.json()).toEqual({
      code: 'RATE_LIMITED',
      message: 'Too many attempts to sign in for this account. Wait 60 seconds and try again.',
      requestId: expect.any(String),
    });
  });
});

test('signing up is refused after 60 attempts from one address, and other addresses go on', async () => {
  const server = await aLimitedServer();
  const signUp = (address: string) =>
    post(server, '/sign-up/email', { name: 'Ada', email: `${randomUUID()}@example.com`, password }, address);
  expect(await untilRefused(() => signUp(attacker))).toEqual({ tries: 60, wait: 60 });
  expect((await signUp(customer)).status).toBe(200);
});

test('changing a password is refused after 10 attempts for one account, whatever the session', async () => {
  const server = await aLimitedServer();
  const person = await aPerson(server);
  const other = await aPerson(server);
  const change = (token: string) =>
    post(
      server,
      '/change-password',
      { currentPassword: 'a wrong password', newPassword: 'another correct horse' },
      attacker,
      { authorization: `Bearer ${token}` },
    );
  expect(await untilRefused(() => change(person.token))).toEqual({ tries: 10, wait: 60 });
  expect((await change(other.token)).status).toBe(400);
});
