import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import type { Client } from '../harness.js';
import { scaled } from '../scale.js';
import type { SeededRandom } from '../seeded-random.js';
import { expectConsistentDatabase } from './consistency.js';
import { customersOf, openShop } from './customers.js';
import { patience, test } from './fault-test.js';
import { startKillableServer } from './killable-server.js';
import { startLoad } from './load.js';
import { describeFaultInjection } from './programs.js';
import { backendAt } from './request.js';
import { createRequestLog } from './request-log.js';

/** Number of kills of serving servers. Kills during a start are not counted. */
const killsWanted = Number(process.env.FAULT_KILLS || scaled({ full: 100, short: 15 }));

/** How many servers run at a time. Two that start use a small machine fully. */
const places = 2;

/** The longest time from ready until the kill. */
const lifeMsMax = 300;

/** About the duration of a start, so that a kill occurs at any point of it. */
const startMsMax = 1_200;

/** How long a request waits for a server that will be killed before it is sent to the survivor. */
const waitMs = 500;

/** The serving servers, and the survivor, which is never killed. */
function createFleet(survivor: Client, chance: SeededRandom) {
  const mortal = new Set<Client>();
  return {
    add: (server: Client) => void mortal.add(server),
    remove: (server: Client) => void mortal.delete(server),
    /**
     * Most requests wait for a server that will be killed. A repeated request is sent immediately, usually to
     * the survivor, while the database may still run what the killed server had begun.
     */
    async pick(isRepetition: boolean): Promise<Client> {
      const giveUpAt = performance.now() + (isRepetition ? 0 : waitMs);
      while (mortal.size === 0 && performance.now() < giveUpAt) await sleep(5);
      return mortal.size === 0 ? survivor : chance.pick([...mortal]);
    },
  };
}

describeFaultInjection('servers that are killed under load', () => {
  test(
    `${killsWanted} kills at random points lose no acknowledged charge and charge nothing twice`,
    patience,
    async ({ chance, folder, variables, postgresql, databaseUrl, startProcess }) => {
      const survivor = await startProcess(variables);
      const shop = await openShop(survivor);
      const customers = await customersOf(shop, 6, 'unlimited');
      const journal = createRequestLog();
      const fleet = createFleet(shop.backend, chance.branch());
      const kills = { serving: 0, starting: 0 };
      let isOver = false;
      onTestFinished(() => {
        isOver = true;
      });

      /** Keeps one server of the fleet running: a killed server is replaced. */
      async function keepPlace(chance: SeededRandom) {
        while (kills.serving < killsWanted && !isOver) {
          const server = startKillableServer(folder, variables);
          if (chance.percent(6)) {
            await sleep(chance.between(0, startMsMax));
            await server.kill();
            kills.starting += 1;
            continue;
          }
          const client = backendAt(await server.ready);
          fleet.add(client);
          await sleep(chance.between(0, lifeMsMax));
          // From here on it gets no new requests: only requests in flight are lost.
          fleet.remove(client);
          await server.kill();
          kills.serving += 1;
        }
      }

      const load = startLoad({
        customers,
        journal,
        chance: chance.branch(),
        askers: 6,
        pickServer: fleet.pick,
        pauseMsMax: 10,
      });
      const keeping = Promise.all(Array.from({ length: places }, () => keepPlace(chance.branch())));
      await Promise.race([keeping, load.failed]);
      await load.stop();

      const found = await expectConsistentDatabase({ postgresql, databaseUrl, backend: shop.backend }, journal);
      const { charges, grants, heard } = journal;
      console.info('kills, orders, answers that were not given:', {
        kills,
        charges: charges.length,
        grants: grants.length,
        heard,
        found,
      });
      expect(kills.serving).toBeGreaterThanOrEqual(killsWanted);
      // Otherwise the servers were killed without requests in flight, and the test shows nothing.
      expect(heard.lost).toBeGreaterThan(killsWanted / 2);
    },
  );
});
