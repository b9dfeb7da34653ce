import { expect, test } from 'vitest';
import { classifyCredential } from '../../src/domain/keys/classify-credential.js';
import { createKeyCache } from '../../src/domain/keys/key-cache.js';
import { aPerson, createApiKey } from '../factories.js';
import { aServer, sharedDatabase } from '../harness.js';

const budgetBytes = 10_000_000;

/** Keys of one person, and an empty cache. */
async function anEmptyCache(bytesMax = budgetBytes) {
  const server = await aServer();
  const owner = await aPerson(server);
  const keys = await Promise.all(
    ['one', 'two', 'three'].map((name) => createApiKey(owner.client, { name, product: 'default' })),
  );
  const candidates = keys.map(({ secret }) => {
    const presented = classifyCredential(server.services.products, { kind: 'bearer', token: secret });
    if (presented.kind !== 'candidate') throw new Error('The secret has not the form of its product.');
    return presented;
  });
  const cache = createKeyCache((await sharedDatabase()).run, bytesMax);
  const cachedIds = () => candidates.map((candidate) => cache.getCached(candidate)?.id ?? null);
  return { server, candidates, cache, cachedIds, ids: keys.map(({ apiKey }) => apiKey.id) };
}

test('a filled cache contains keys before their first use, and applies later changes', async () => {
  const { server, candidates, cache, cachedIds, ids } = await anEmptyCache();
  expect(cachedIds()).toEqual([null, null, null]);
  await cache.fill(new AbortController().signal);
  expect(cachedIds()).toEqual(ids);
  await server.services.db.apiKey.update({ where: { id: ids[0] ?? '' }, data: { disabledAt: new Date() } });
  const [first, second] = await Promise.all(candidates.map((candidate) => cache.load(candidate)));
  expect(first?.disabledAt).toBeInstanceOf(Date);
  expect(second?.disabledAt).toBeNull();
});

test('filling skips revoked keys and stops at the memory budget', async () => {
  const { server, cache, cachedIds, ids } = await anEmptyCache();
  await server.services.db.apiKey.update({ where: { id: ids[1] ?? '' }, data: { revokedAt: new Date() } });
  await cache.fill(new AbortController().signal);
  expect(cachedIds()).toEqual([ids[0], null, ids[2]]);
  const small = createKeyCache((await sharedDatabase()).run, 2_000);
  await small.fill(new AbortController().signal);
  expect(small.size).toBeGreaterThan(0);
  expect(small.bytes).toBeLessThanOrEqual(2_000);
});

test('filling does not affect concurrent verifications', async () => {
  const { candidates, cache, ids } = await anEmptyCache();
  const loading = Promise.all(
    candidates.flatMap((candidate) => Array.from({ length: 10 }, () => cache.load(candidate))),
  );
  const [found] = await Promise.all([loading, cache.fill(new AbortController().signal)]);
  expect(found.map((key) => key?.id)).toEqual(ids.flatMap((id) => Array.from({ length: 10 }, () => id)));
});
