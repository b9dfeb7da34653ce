import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { aCustomerWithKey, creditsOf, grantOne, withToken } from './customer.js';
import { patience, test } from './server-process.js';

const token = `tks_${'Ending1'.repeat(5)}`;
const variables = { TOLLKEEPER_SERVICE_TOKEN: token, TOLLKEEPER_MUTATIONS_PER_MINUTE: '1000000' };

describe('the end of a server', patience, () => {
  test('by kill -9 loses no acknowledged write, and the next start works immediately', async ({ startServer }) => {
    const killed = await startServer(variables);
    const { session, workspaceId } = await aCustomerWithKey(killed);
    const backend = withToken(killed, token);
    const acknowledged: string[] = [];
    const grantUntilKilled = async (lane: number) => {
      for (let turn = 0; ; turn += 1) {
        const reason = `grant ${lane}.${turn}`;
        await grantOne(backend, workspaceId, reason);
        acknowledged.push(reason);
      }
    };
    const lanes = [1, 2, 3, 4].map((lane) => grantUntilKilled(lane).catch(() => undefined));
    while (acknowledged.length < 40) await sleep(5);
    await killed.end('SIGKILL');
    await Promise.all(lanes);

    const next = await startServer(variables);
    const { balance, reasons } = await creditsOf(withToken(next, session));
    expect(acknowledged.filter((reason) => !reasons.includes(reason))).toEqual([]);
    // 100 free credits and one per grant; per lane at most one grant was written but not acknowledged.
    expect(balance - 100 - acknowledged.length).toBeGreaterThanOrEqual(0);
    expect(balance - 100 - acknowledged.length).toBeLessThanOrEqual(lanes.length);
  });
});
