import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { hashesAtOnceMax, waitingHashesMax } from '../../src/http/principals/password-hashing.js';
import { aPerson, password, postAuth } from '../factories.js';
import { startServer, type TestServer } from '../harness.js';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ products: ['default'] });
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}, to: TestServer = server) =>
  postAuth(to, path, body, headers);

const grace = () => ({ name: 'Grace', email: `${randomUUID()}@example.com`, password });

const unacceptable: [string, string, string][] = [
  ['of 9 characters', 'a%7Qz_e3k', 'A password must have at least 10 characters.'],
  ['of 9 characters that have 18 UTF-16 units', '😀'.repeat(9), 'A password must have at least 10 characters.'],
  ['of 129 characters', 'ab'.repeat(64).concat('c'), 'A password must have at most 128 characters.'],
  ['with a line break', 'correct\nhorse battery', 'A password must not contain control characters.'],
  ['with the NUL character', 'correct\u0000horse battery', 'A password must not contain control characters.'],
  ['that is common', '1234567890', 'This password is one of the 10,000 most common ones. Choose another one.'],
  [
    'that is common in other case',
    'QwertyUiop',
    'This password is one of the 10,000 most common ones. Choose another one.',
  ],
];

describe('a new password', () => {
  test.each(unacceptable)('%s is refused at sign-up', async (_name, wrong, message) => {
    const person = { ...grace(), password: wrong };
    const response = await post('/sign-up/email', person);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      code: 'BAD_USER_INPUT',
      field: 'password',
      message,
      requestId: expect.any(String),
    });
    expect(await server.services.db.user.count({ where: { email: person.email } })).toBe(0);
  });

  test.each(unacceptable)('%s is refused at a change', async (_name, wrong, message) => {
    const { token } = await aPerson(server);
    const response = await post(
      '/change-password',
      { currentPassword: password, newPassword: wrong },
      { authorization: `Bearer ${token}` },
    );
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'BAD_USER_INPUT', field: 'newPassword', message });
  });

  test.each([
    ['of 10 characters', 'a%7Qz_e3kX'],
    ['of 128 characters that have 256 UTF-16 units', '😀'.repeat(128)],
  ])('%s is accepted', async (_name, right) => {
    const person = { ...grace(), password: right };
    expect((await post('/sign-up/email', person)).status).toBe(200);
    expect((await post('/sign-in/email', { email: person.email, password: right })).status).toBe(200);
  });
});

test('a changed password ends all other sessions and leaves the current one open', async () => {
  const { token, email, client } = await aPerson(server);
  const signIn = async (tried: string) => {
    const response = await post('/sign-in/email', { email, password: tried });
    return { status: response.status, ...((await response.json()) as { token?: string }) };
  };
  const other = await signIn(password);
  const stranger = await aPerson(server);
  const newPassword = 'another correct horse';
  const wrong = await post(
    '/change-password',
    { currentPassword: 'a wrong password', newPassword },
    { authorization: `Bearer ${token}` },
  );
  expect(wrong.status).toBe(400);
  const kindOf = async (of: string | undefined) =>
    (await server.anonymous.with({ authorization: `Bearer ${of}` }).send('{ viewer { kind } }')).status;
  expect(await kindOf(other.token)).toBe(200);

  const changed = await post(
    '/change-password',
    { currentPassword: password, newPassword },
    { authorization: `Bearer ${token}` },
  );
  expect(changed.status).toBe(200);
  expect(await kindOf(other.token)).toBe(401);
  expect((await client.send('{ viewer { kind } }')).status).toBe(200);
  expect((await stranger.client.send('{ viewer { kind } }')).status).toBe(200);
  expect((await signIn(password)).status).toBe(401);
  expect((await signIn(newPassword)).status).toBe(200);
});

describe('hashing passwords', () => {
  /** How many requests are hashed or wait. */
  const accepted = hashesAtOnceMax + waitingHashesMax;

  /** A hasher whose calls end when the test says so. */
  function aSlowHasher() {
    let running = 0;
    let runningMax = 0;
    const ends: Array<() => void> = [];
    const hash = async (plaintext: string) => {
      running += 1;
      runningMax = Math.max(runningMax, running);
      await new Promise<void>((resolve) => ends.push(resolve));
      running -= 1;
      return plaintext;
    };
    return {
      hashing: { hash, verify: async (stored: { hash: string; password: string }) => (await hash('')) === stored.hash },
      state: () => ({ running, runningMax }),
      async waitUntilBusy() {
        while (running < hashesAtOnceMax) await sleep(5);
      },
      async endAll(count: number) {
        for (let ended = 0; ended < count; ) {
          const end = ends.shift();
          if (end === undefined) {
            await sleep(5);
            continue;
          }
          end();
          ended += 1;
        }
      },
    };
  }

  test('uses at most two threads, lets 32 wait, and refuses more with 429 and Retry-After', async () => {
    const slow = aSlowHasher();
    const busy = await startServer({ products: ['default'], passwordHashing: slow.hashing });
    const statuses: number[] = [];
    const retryAfter = new Set<string | null>();
    const answers = Array.from({ length: 50 }, async () => {
      const response = await post('/sign-up/email', grace(), {}, busy);
      statuses.push(response.status);
      if (response.status === 429) retryAfter.add(response.headers.get('retry-after'));
      return response;
    });
    while (statuses.length < 50 - accepted) await sleep(5);
    expect(statuses).toEqual(Array.from({ length: 50 - accepted }, () => 429));
    expect(retryAfter).toEqual(new Set(['2']));
    await slow.waitUntilBusy();
    expect(hashesAtOnceMax).toBeLessThanOrEqual(2);
    expect(slow.state()).toEqual({ running: hashesAtOnceMax, runningMax: hashesAtOnceMax });
    // Everything else is answered while the queue is full.
    expect((await busy.backend.send('{ viewer { kind } }')).status).toBe(200);
    await slow.endAll(accepted);
    const bodies = await Promise.all(answers);
    expect(bodies.filter(({ status }) => status === 200)).toHaveLength(accepted);
    expect(slow.state()).toEqual({ running: 0, runningMax: hashesAtOnceMax });
  });

  test('a refused sign-up creates nothing, and is accepted when it is tried again', async () => {
    const slow = aSlowHasher();
    const busy = await startServer({ products: ['default'], passwordHashing: slow.hashing });
    const waiting = Array.from({ length: accepted }, () => post('/sign-up/email', grace(), {}, busy));
    await slow.waitUntilBusy();
    await sleep(200);
    const late = grace();
    const refused = await post('/sign-up/email', late, {}, busy);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ code: 'RATE_LIMITED', requestId: expect.any(String) });
    expect(await busy.services.db.user.count({ where: { email: late.email } })).toBe(0);
    await slow.endAll(accepted);
    await Promise.all(waiting);
    const again = post('/sign-up/email', late, {}, busy);
    await slow.endAll(1);
    expect((await again).status).toBe(200);
    expect(busy.logged()).not.toContain('"level":50');
  });
});
