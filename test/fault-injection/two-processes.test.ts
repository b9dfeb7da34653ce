import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { verify } from '../factories.js';
import { graphql } from '../generated/index.js';
import { withToken } from '../process/customer.js';
import type { SeededRandom } from '../seeded-random.js';
import { expectConsistentDatabase } from './consistency.js';
import { aKey, customersOf, openShop } from './customers.js';
import { test as base, patience } from './fault-test.js';
import { type Change, courses, expectSeenAtOnce, type Process } from './key-changes.js';
import { startLoad } from './load.js';
import { tightLimits } from './products.js';
import { describeFaultInjection } from './programs.js';
import { ask, backendAt } from './request.js';
import { createRequestLog } from './request-log.js';
import { expectKept, type Letting } from './rolling-windows.js';

const codeDocument = graphql(`
  mutation CodeOfFaults($bearer: String!) {
    verifyApiKey(input: { credential: { bearer: $bearer } }) { code }
  }
`);

const test = base.extend<{ pair: { one: Process; other: Process; shop: Awaited<ReturnType<typeof openShop>> } }>({
  pair: async ({ variables, redis, startProcess }, use) => {
    const shared = { ...variables, REDIS_URL: redis.url };
    const [one, other] = await Promise.all([startProcess(shared), startProcess(shared)]);
    const shop = await openShop(one);
    await use({
      shop,
      one: { backend: backendAt(one.url), owner: shop.owner },
      other: { backend: backendAt(other.url), owner: withToken(other, shop.session) },
    });
  },
});

describeFaultInjection('two processes on one PostgreSQL and one Redis, under load', () => {
  test(
    'apply a revocation, disablement or suspension from one process to the next verification on the other',
    patience,
    async ({ chance, pair: { one, other, shop }, postgresql, databaseUrl }) => {
      const journal = createRequestLog();
      const customers = await customersOf(shop, 4, 'open');
      const eitherChance = chance.branch();
      const load = startLoad({
        customers,
        journal,
        chance: chance.branch(),
        askers: 3,
        pauseMsMax: 5,
        pickServer: async () => eitherChance.pick([one, other]).backend,
      });

      /** Makes a random sequence of changes to a key, each through either process. */
      async function liveThrough(chance: SeededRandom) {
        const { workspaceId, ...first } = await shop.aCustomer('open');
        let key = first;
        for (let life = 0; life < 3; life += 1) {
          let before: Change['code'] = 'VALID';
          for (const change of chance.pick(courses)) {
            const [through, elsewhere] = chance.percent(50) ? [one, other] : [other, one];
            await expectSeenAtOnce(change, { workspaceId, ...key }, { before, through, elsewhere });
            before = change.code;
          }
          key = await aKey(chance.pick([one, other]).owner, workspaceId, 'open');
        }
      }

      await Promise.race([Promise.all([1, 2, 3, 4].map(() => liveThrough(chance.branch()))), load.failed]);
      await load.stop();
      await expectConsistentDatabase({ postgresql, databaseUrl, backend: one.backend }, journal);
    },
  );

  test('never exceed a rate limit window together', patience, async ({ chance, pair: { one, other, shop } }) => {
    const customers = await customersOf(shop, 2, 'tight');
    const lettings = new Map<string, Letting[]>(customers.map(({ secret }) => [secret, []]));
    const endsAt = performance.now() + 5_000;
    const codes: Record<string, number> = {};

    async function keepAsking(chance: SeededRandom) {
      while (performance.now() < endsAt) {
        const { secret } = chance.pick(customers);
        const sentMs = performance.now();
        // When Redis is late, a closed product answers 503: it allows no request without counting it.
        const heard = await ask(chance.pick([one, other]).backend, codeDocument, { bearer: secret });
        const code = heard.kind === 'data' ? heard.data.verifyApiKey.code : heard.kind;
        codes[code] = (codes[code] ?? 0) + 1;
        if (code === 'VALID') lettings.get(secret)?.push({ sentMs, answeredMs: performance.now() });
        await sleep(chance.between(0, 20));
      }
    }
    await Promise.all(Array.from({ length: 8 }, () => keepAsking(chance.branch())));

    for (const own of lettings.values()) expectKept(own, tightLimits);
    console.info('verifications by their code:', codes);
    // The requests exceeded the limits, and some were allowed.
    const { unavailable: _late, ...decided } = codes;
    expect(Object.keys(decided).sort()).toEqual(['RATE_LIMITED', 'VALID']);
    expect(codes.VALID).toBeGreaterThan(20);
  });

  test(
    'charge an action once that is sent to both concurrently',
    patience,
    async ({ chance, pair: { one, other, shop }, postgresql, databaseUrl }) => {
      const customers = await customersOf(shop, 3, 'open');
      const journal = createRequestLog();
      async function sendTwice(chance: SeededRandom) {
        for (let action = 0; action < 25; action += 1) {
          const customer = chance.pick(customers);
          const order = journal.orderCharge(customer, {
            credits: chance.between(1, 5),
            hold: chance.percent(30),
            isRetried: true,
          });
          const { quantity, hold, idempotencyKey } = order;
          const senders = chance.pick([
            [one, other],
            [one, other, one, other],
            [other, one, one],
          ]);
          const answers = await Promise.all(
            senders.map((sender) =>
              verify(sender, customer.secret, { charge: { action: 'call', quantity, hold, idempotencyKey } }),
            ),
          );
          const charges = answers.map((answer) => answer.charge);
          expect(charges.filter((each) => each?.replayed === false)).toHaveLength(1);
          expect(new Set(charges.map((each) => each?.id)).size).toBe(1);
          order.chargeId = charges[0]?.id ?? null;
        }
      }
      await Promise.all(Array.from({ length: 6 }, () => sendTwice(chance.branch())));
      await expectConsistentDatabase({ postgresql, databaseUrl, backend: one.backend }, journal);
    },
  );
});
