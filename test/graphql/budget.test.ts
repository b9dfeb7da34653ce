import { describe, expect, test } from 'vitest';
import { createSharedBudgets } from '../../src/domain/rate-limits/redis-budgets.js';
import { aKeyOf, aPerson } from '../factories.js';
import { type Client, startServer } from '../harness.js';
import { aPrefix, describeWithRedis, redisUrl, someWindows } from '../rate-limits/redis.js';

interface Budget {
  readonly cost: number;
  readonly limit: number;
  readonly remaining: number;
  readonly resetAt: string;
}

const costPerMinute = 1_000;

async function readBudget(client: Client): Promise<Budget> {
  const { data, errors } = await client.send<{ budget: Budget }>('{ budget { cost limit remaining resetAt } }');
  expect(errors).toEqual([]);
  if (data === null) throw new Error('The budget is public.');
  return data.budget;
}

/** Uses up all but less than 100 of a budget. */
const expensive = '{ workspaces(first: 90) { nodes { a: id b: id c: id d: id e: id f: id g: id h: id i: id } } }';

describe('the budget of a caller', () => {
  test('shows the cost of the operation, what is left, and when all is available again', async () => {
    const server = await startServer({ costPerMinute, clockStandsStill: true });
    const resetAt = new Date(server.clock.now().getTime() + 60_000).toISOString();
    expect(await readBudget(server.anonymous)).toEqual({ cost: 5, limit: 1_000, remaining: 995, resetAt });
    server.clock.advance(20_000);
    expect(await readBudget(server.anonymous)).toEqual({ cost: 5, limit: 1_000, remaining: 990, resetAt });
  });

  test('that is used up refuses operations of this caller alone, until the minute is over', async () => {
    const server = await startServer({ costPerMinute, clockStandsStill: true });
    const [{ client }, { client: other }] = [await aPerson(server), await aPerson(server)];
    server.clock.advance(60_000);
    expect((await client.send(expensive)).status).toBe(200);
    const refused = await client.send(expensive);
    expect(refused).toMatchObject({
      status: 429,
      data: null,
      errors: [
        {
          message: expect.stringMatching(
            /^The operation costs \d+, and \d+ of the budget of 1000 per minute is left\. Try again in 60 seconds\.$/,
          ),
          extensions: { code: 'RATE_LIMITED' },
        },
      ],
    });
    expect(refused.headers.get('retry-after')).toBe('60');
    expect((await other.send(expensive)).status).toBe(200);
    server.clock.advance(60_000);
    expect((await client.send(expensive)).status).toBe(200);
  });

  test('is not needed for what a backend calls for each request', async () => {
    const server = await startServer({ costPerMinute, clockStandsStill: true });
    const { secret } = await aKeyOf(server, 'default');
    server.clock.advance(60_000);
    expect((await server.backend.send(expensive)).status).toBe(200);
    expect((await server.backend.send(expensive)).status).toBe(429);
    const verify = 'mutation ($bearer: String!) { verifyApiKey(input: { credential: { bearer: $bearer } }) { code } }';
    const many =
      'mutation ($bearer: String!) { verifyApiKeys(inputs: [{ credential: { bearer: $bearer } }]) { code } }';
    expect((await server.backend.send(verify, { bearer: secret })).data).toEqual({ verifyApiKey: { code: 'VALID' } });
    expect((await server.backend.send(many, { bearer: secret })).data).toEqual({ verifyApiKeys: [{ code: 'VALID' }] });
  });

  test('is charged for introspection, with cached answers too', async () => {
    const server = await startServer({ costPerMinute, clockStandsStill: true });
    const question = '{ __schema { types { name } } }';
    expect((await server.anonymous.send(question)).status).toBe(200);
    const { remaining } = await readBudget(server.anonymous);
    expect(remaining).toBeLessThan(995);
    expect((await server.anonymous.send(question)).status).toBe(200);
    expect((await readBudget(server.anonymous)).remaining).toBe(remaining - (995 - remaining) - 5);
  });
});

describeWithRedis('servers that share a Redis', () => {
  test('share the budgets of callers', async () => {
    const { windows } = await someWindows({ keyPrefix: aPrefix(), url: redisUrl() });
    const options = { costPerMinute, budgets: createSharedBudgets(windows) };
    const [one, other] = [await startServer(options), await startServer(options)];
    const { client } = await aPerson(one);
    const before = await readBudget(client);
    const { remaining } = await readBudget(other.anonymous.with(client.headers));
    expect(remaining).toBe(before.remaining - 5);
    expect(Date.parse(before.resetAt) - Date.now()).toBeLessThanOrEqual(60_000);
  });
});
