import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { verify } from '../factories.js';
import { expectConsistentDatabase } from './consistency.js';
import { customersOf, openShop } from './customers.js';
import { patience, test } from './fault-test.js';
import { startLoad } from './load.js';
import type { OwnPostgresql } from './own-postgresql.js';
import { describeFaultInjection } from './programs.js';
import { createRequestLog } from './request-log.js';

/** Ways to stop PostgreSQL. After the last two it recovers from its write-ahead log. */
const outages = {
  'is shut down': (postgresql: OwnPostgresql) => postgresql.stop('SIGINT'),
  'is shut down immediately': (postgresql: OwnPostgresql) => postgresql.stop('SIGQUIT'),
  'is killed': (postgresql: OwnPostgresql) => postgresql.stop('SIGKILL'),
};

/** Maximum time from when PostgreSQL accepts connections until the first verification succeeds. */
const recoveryMsMax = 10_000;

const awayAnswer = {
  status: 503,
  data: null,
  errors: [
    { message: 'The database cannot be reached. Try again in a moment.', extensions: { code: 'SERVICE_UNAVAILABLE' } },
  ],
};

describeFaultInjection('an outage of PostgreSQL under load', () => {
  test.for(Object.entries(outages))(
    'in which it %s makes servers answer 503 until they recover automatically, and loses nothing acknowledged',
    patience,
    async ([, stop], { chance, variables, postgresql, databaseUrl, startProcess }) => {
      const server = await startProcess(variables);
      const shop = await openShop(server);
      const { backend } = shop;
      const customers = await customersOf(shop, 4, 'unlimited');
      const journal = createRequestLog();
      const load = startLoad({
        customers,
        journal,
        chance: chance.branch(),
        askers: 8,
        pickServer: async () => backend,
      });
      const recoveryMs: number[] = [];
      const { secret } = chance.pick(customers);

      for (let round = 0; round < 3; round += 1) {
        await Promise.race([sleep(chance.between(150, 500)), load.failed]);
        await stop(postgresql);
        const saidBefore = journal.heard.unavailable;
        await Promise.race([sleep(chance.between(200, 600)), load.failed]);
        await expect.poll(() => journal.heard.unavailable, { timeout: recoveryMsMax }).toBeGreaterThan(saidBefore);
        // The process is healthy but not ready for requests.
        expect((await server.fetch('/health/live')).status).toBe(200);
        expect((await server.fetch('/health/ready')).status).toBe(503);
        await postgresql.start();
        const startedAt = performance.now();
        await expect
          .poll(() => verify({ backend }, secret).catch(() => null), { timeout: recoveryMsMax, interval: 20 })
          .toMatchObject({ valid: true });
        recoveryMs.push(Math.round(performance.now() - startedAt));
      }
      await Promise.race([sleep(500), load.failed]);
      await load.stop();

      // The server never exited, so every request got a response.
      expect(journal.heard.lost).toBe(0);
      const found = await expectConsistentDatabase({ postgresql, databaseUrl, backend }, journal);
      console.info('answers, orders that stand unacknowledged, recovery:', { heard: journal.heard, found, recoveryMs });
    },
  );

  test(
    'makes every request answer 503 with Retry-After, for any credential',
    patience,
    async ({ variables, postgresql, startProcess }) => {
      const server = await startProcess(variables);
      const { backend, owner, aCustomer } = await openShop(server);
      const { workspaceId, secret } = await aCustomer('unlimited');
      const holder = backend.with({ authorization: `Bearer ${secret}` });
      const stranger = backend.with({ authorization: `Bearer ${secret.slice(0, -8)}${'A'.repeat(8)}` });
      const unknownKeyDocument = `mutation { verifyApiKey(input: { credential: { bearer: "${secret.slice(0, -8)}${'A'.repeat(8)}" } }) { code } }`;
      const sign = (way: string, body: object) =>
        server.fetch(`/api/auth/sign-${way}/email`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ name: 'Ada', email: 'ada@example.com', password: 'correct horse battery', ...body }),
        });

      await postgresql.stop('SIGINT');
      const answers = await Promise.all([
        backend.send(unknownKeyDocument),
        backend.send(`{ credits(workspaceId: "${workspaceId}") { balance } }`),
        owner.send('{ viewer { kind } }'),
        owner.send('mutation { createApiKey(input: { name: "ci" }) { __typename } }'),
        holder.send('{ credits { balance } }'),
        stranger.send('{ credits { balance } }'),
      ]);
      const signing = await Promise.all([sign('in', {}), sign('up', { email: 'new@example.com' })]);
      await postgresql.start();

      for (const answer of answers) expect(answer).toMatchObject(awayAnswer);
      for (const { headers } of [...answers, ...signing]) expect(headers.get('retry-after')).toBe('1');
      for (const answer of signing) {
        expect([answer.status, await answer.json()]).toEqual([
          503,
          expect.objectContaining({ code: 'SERVICE_UNAVAILABLE' }),
        ]);
      }
    },
  );
});
