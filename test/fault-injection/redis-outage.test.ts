import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { graphql } from '../generated/index.js';
import type { Client } from '../harness.js';
import { expectConsistentDatabase } from './consistency.js';
import { type Customer, customersOf, openShop } from './customers.js';
import { patience, test } from './fault-test.js';
import { startLoad } from './load.js';
import type { OwnRedis } from './own-redis.js';
import { scarceLimit } from './products.js';
import { describeFaultInjection } from './programs.js';
import { ask, backendAt } from './request.js';
import { createRequestLog } from './request-log.js';

const checkDocument = graphql(`
  mutation CheckOfFaults($bearer: String!) {
    verifyApiKey(input: { credential: { bearer: $bearer } }) { code }
  }
`);

/** The outcome of one verification: its code, `unavailable` or `lost`. */
async function check(backend: Client, { secret }: Customer): Promise<string> {
  const heard = await ask(backend, checkDocument, { bearer: secret });
  return heard.kind === 'data' ? heard.data.verifyApiKey.code : heard.kind;
}

/** Ways to interrupt Redis and to restore it. */
const outages = {
  'is killed': { begin: (redis: OwnRedis) => redis.kill(), end: (redis: OwnRedis) => redis.start() },
  hangs: { begin: async (redis: OwnRedis) => redis.hang(), end: async (redis: OwnRedis) => redis.resume() },
};

/** The server attempts to reconnect at least every few seconds. */
const recoveryMsMax = 15_000;

/** A request waits 50 ms for Redis; the rest is for a busy machine. */
const answerMsMax = 2_000;

describeFaultInjection('an outage of Redis under load', () => {
  test.for(Object.entries(outages))(
    'in which it %s affects only closed products, which answer 503 until recovery, and causes no false 429',
    patience,
    async ([, { begin, end }], { chance, variables, redis, postgresql, databaseUrl, startProcess }) => {
      const server = await startProcess({ ...variables, REDIS_URL: redis.url });
      const backend = backendAt(server.url);
      const shop = await openShop(server);
      const pickServer = async () => backend;
      const [open, closed] = [createRequestLog(), createRequestLog()];
      const openCustomers = await customersOf(shop, 2, 'open');
      const closedCustomers = await customersOf(shop, 2, 'closed');
      const [scarce] = await customersOf(shop, 1, 'scarce');
      const [shut] = closedCustomers;
      if (!scarce || !shut) throw new Error('There are customers of both.');
      // No request reaches the limits of these two, so a 429 is an error and stops the load.
      const loads = [
        startLoad({
          customers: openCustomers,
          journal: open,
          chance: chance.branch(),
          askers: 4,
          pickServer,
          pauseMsMax: 5,
        }),
        startLoad({
          customers: closedCustomers,
          journal: closed,
          chance: chance.branch(),
          askers: 4,
          pickServer,
          pauseMsMax: 5,
        }),
      ];
      const passing = (ms: number) => Promise.race([sleep(ms), ...loads.map(({ failed }) => failed)]);
      const recoveryMs: number[] = [];
      let slowestMs = 0;
      const untilShared = () =>
        expect.poll(() => check(backend, shut), { timeout: recoveryMsMax, interval: 20 }).toBe('VALID');

      for (let round = 0; round < 2; round += 1) {
        await passing(chance.between(200, 600));
        await begin(redis);
        const refusedBefore = closed.heard.unavailable;
        const goneAt = performance.now();
        while (performance.now() < goneAt + 800) {
          const askedAt = performance.now();
          expect(await check(backend, openCustomers[0] ?? scarce)).toBe('VALID');
          slowestMs = Math.max(slowestMs, performance.now() - askedAt);
          await passing(chance.between(0, 50));
        }
        expect(await check(backend, shut)).toBe('unavailable');
        await expect.poll(() => closed.heard.unavailable, { timeout: recoveryMsMax }).toBeGreaterThan(refusedBefore);
        await end(redis);
        const backAt = performance.now();
        await untilShared();
        recoveryMs.push(Math.round(performance.now() - backAt));
      }
      await passing(300);
      await Promise.all(loads.map((load) => load.stop()));

      expect(slowestMs).toBeLessThan(answerMsMax);
      // An open product does not need Redis, so none of its requests got 503.
      expect(open.heard).toMatchObject({ unavailable: 0, lost: 0 });
      expect(closed.heard.lost).toBe(0);
      for (const journal of [open, closed])
        await expectConsistentDatabase({ postgresql, databaseUrl, backend }, journal);
      console.info('answers, the slowest of an open product, recovery:', {
        open: open.heard,
        closed: closed.heard,
        slowestMs,
        recoveryMs,
      });
    },
  );

  test(
    'limits an open product by the counts of the process, including requests from before the outage',
    patience,
    async ({ variables, redis, startProcess }) => {
      const server = await startProcess({ ...variables, REDIS_URL: redis.url });
      const backend = backendAt(server.url);
      const [scarce] = await customersOf(await openShop(server), 1, 'scarce');
      if (!scarce) throw new Error('There is a customer.');
      const codes = [];
      for (let request = 0; request < scarceLimit.limit + 2; request += 1) {
        if (request === 2) await redis.kill();
        codes.push(await check(backend, scarce));
      }
      await redis.start();
      expect(codes).toEqual([...Array(scarceLimit.limit).fill('VALID'), 'RATE_LIMITED', 'RATE_LIMITED']);
    },
  );
});
