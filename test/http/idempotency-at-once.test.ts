import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { aPerson } from '../factories.js';
import { aServer, sharedDatabase, startServer, type TestServer } from '../harness.js';
import { atOnce, readLedger } from '../property/credit-operations.js';
import { createKey, type Data, grant, keysOf, refusal, replayOf, under } from './idempotent-requests.js';

describe('concurrent requests with one idempotency key', () => {
  test('have one effect and all return its result', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const keyed = under(owner.client, randomUUID());
    const answers = await atOnce(20, (index) => keyed.send<Data>(createKey, { input: { name: `ci ${index}` } }));
    const made = answers.filter((answer) => replayOf(answer).replayed === null);
    expect(made).toHaveLength(1);
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, data: made[0]?.data, errors: [] });
    expect(await keysOf(server, owner.personalWorkspaceId)).toBe(1);
  });

  test('have one effect across several processes', async () => {
    const servers = await Promise.all([startServer(), startServer(), startServer()]);
    const [server] = servers;
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    const key = randomUUID();
    const answers = await atOnce(30, (index) => {
      const { backend } = servers[index % servers.length] ?? server;
      return under(backend, key).send<Data>(grant, { input: { workspaceId, credits: 7 } });
    });
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.filter((answer) => replayOf(answer).replayed === null)).toHaveLength(1);
    const replays = answers.map(({ data }) => data?.grantCredits?.replayed);
    expect(replays.filter((each) => each === false)).toHaveLength(1);
    expect((await readLedger(server, workspaceId)).balance).toBe(7);
  });
});

/** The number of transactions that wait for a lock. */
async function countWaiting(): Promise<number> {
  const { db } = await sharedDatabase();
  const waiting = await db.$queryRaw<object[]>`
    SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return waiting.length;
}

/** Locks the credit account of a workspace. @returns a function that releases the lock. */
async function holdAccount(workspaceId: string): Promise<() => Promise<void>> {
  const { db } = await sharedDatabase();
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let began: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    began = resolve;
  });
  const held = db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM "CreditAccount" WHERE "workspaceId" = ${workspaceId} FOR UPDATE`;
    began();
    await released;
  });
  await begun;
  return () => {
    release();
    return held;
  };
}

const isEmbedded = process.env.DATABASE_URL === undefined;

/**
 * Waits until a transaction waits for a lock. The embedded database has one connection and cannot report it.
 */
async function untilOneWaits(): Promise<void> {
  if (isEmbedded) await sleep(200);
  else await expect.poll(countWaiting).toBeGreaterThan(0);
}

describe('a request during a running one with the same idempotency key', () => {
  const places = [
    ['on the same process', (server: TestServer) => Promise.resolve(server)],
    ['on another process', () => startServer()],
  ] as const;

  // An embedded database cannot be shared by two processes.
  test.each(isEmbedded ? places.slice(0, 1) : places)(
    'waits briefly and is then refused with Retry-After, %s',
    async (_where, otherOf) => {
      const server = await startServer();
      const other = await otherOf(server);
      const { personalWorkspaceId: workspaceId } = await aPerson(server);
      const key = randomUUID();
      const ask = ({ backend }: TestServer) =>
        under(backend, key).send<Data>(grant, { input: { workspaceId, credits: 7 } });

      await Promise.all([server, other].map(({ backend }) => backend.send('{ viewer { kind } }')));
      const release = await holdAccount(workspaceId);
      const slow = ask(server);
      await untilOneWaits();
      const askedAt = performance.now();
      const turnedAway = await ask(other);
      expect(performance.now() - askedAt).toBeGreaterThan(1_500);
      expect(refusal(turnedAway)).toEqual({
        status: 409,
        data: null,
        codes: ['IDEMPOTENCY_KEY_IN_USE'],
        messages: ['Another request with this Idempotency-Key is still running. Try again in a moment.'],
      });
      expect(turnedAway.headers.get('retry-after')).toBe('1');

      await release();
      const original = await slow;
      expect(original.data?.grantCredits).toMatchObject({ replayed: false });
      const repeated = await ask(other);
      expect(repeated.data?.grantCredits?.entry).toEqual(original.data?.grantCredits?.entry);
      expect((await readLedger(server, workspaceId)).balance).toBe(7);
    },
  );

  test.skipIf(isEmbedded)('succeeds after the first one has failed without effect', async () => {
    const server = await startServer();
    const { personalWorkspaceId: workspaceId } = await aPerson(server);
    const keyed = under(server.backend, randomUUID());
    const ask = () => keyed.send<Data>(grant, { input: { workspaceId, credits: 7 } });
    const release = await holdAccount(workspaceId);
    const doomed = ask();
    await untilOneWaits();
    const { db } = await sharedDatabase();
    await db.$queryRaw`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    expect(refusal(await doomed)).toMatchObject({ status: 503, codes: ['SERVICE_UNAVAILABLE'] });
    await release();
    const answers = [await ask(), await ask()];
    expect(answers.map((answer) => replayOf(answer).replayed)).toEqual([null, 'true']);
    expect((await readLedger(server, workspaceId)).balance).toBe(7);
  });
});
