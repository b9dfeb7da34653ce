import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newId } from '../../src/db/ids.js';
import type { KeyFields, KeyRecord } from '../../src/domain/keys/key-record.js';
import { KeyTable } from '../../src/domain/keys/key-table.js';

const hashes = Array.from({ length: 12 }, (_, index) => createHash('sha256').update(`${index}`).digest('hex'));
const secretIds = hashes.map(() => newId('keySecret'));
const keyIds = Array.from({ length: 6 }, () => newId('apiKey'));
const workspaceIds = Array.from({ length: 3 }, () => newId('workspace'));

const noDetails: Omit<KeyFields, 'hash' | 'secretId' | 'id' | 'workspaceId'> = {
  own: { keyId: null, secretRetiresAt: null, expiresAt: null },
  shared: {
    product: 'default',
    environment: 'LIVE',
    permissions: ['data:read'],
    allowedOrigins: [],
    spendLimit: null,
    spendPeriod: null,
    disabledAt: null,
    revokedAt: null,
    deletedAt: null,
    workspaceSuspendedAt: null,
    features: [],
  },
};

const fields: fc.Arbitrary<KeyFields> = fc
  .record({
    secret: fc.nat(hashes.length - 1),
    id: fc.constantFrom(...keyIds),
    workspaceId: fc.constantFrom(...workspaceIds),
    keyId: fc.constantFrom(null, 'mk_1', 'mk_2'),
    expiresAt: fc.constantFrom(null, new Date(1), new Date(2)),
    secretRetiresAt: fc.constantFrom(null, new Date(3)),
    permissions: fc.constantFrom(['data:read'], ['data:read', 'data:write']),
    disabledAt: fc.constantFrom(null, new Date(4)),
  })
  .map(({ secret, id, workspaceId, keyId, expiresAt, secretRetiresAt, permissions, disabledAt }) => ({
    hash: hashes[secret] ?? '',
    secretId: secretIds[secret] ?? '',
    id,
    workspaceId,
    own: { keyId, expiresAt, secretRetiresAt },
    shared: { ...noDetails.shared, permissions, disabledAt },
  }));

const step = fc.oneof(
  { weight: 6, arbitrary: fields.map((put) => ({ put })) },
  { weight: 2, arbitrary: fc.constantFrom(...keyIds, ...workspaceIds).map((removeOf) => ({ removeOf })) },
  { weight: 1, arbitrary: fc.constant({ clear: true }) },
);

function flat({ hash, secretId, id, workspaceId, own, shared }: KeyFields) {
  return { hash, secretId, id, workspaceId, ...own, ...shared };
}

test('a key table returns the same records as a map, after any sequence of puts, replacements and removals', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const table = new KeyTable(1_000_000);
      const model = new Map<string, { fields: KeyFields; record: KeyRecord }>();
      const replaced: KeyRecord[] = [];
      const remove = (hash: string) => {
        const held = model.get(hash);
        if (held !== undefined) replaced.push(held.record);
        model.delete(hash);
      };
      for (const step of steps) {
        if ('put' in step) {
          remove(step.put.hash);
          model.set(step.put.hash, { fields: step.put, record: table.put(step.put) });
        } else if ('removeOf' in step) {
          table.removeOf(step.removeOf);
          for (const [hash, { fields }] of model) {
            if (fields.id === step.removeOf || fields.workspaceId === step.removeOf) remove(hash);
          }
        } else {
          table.clear();
          for (const hash of model.keys()) remove(hash);
        }
      }
      expect(table.size).toBe(model.size);
      for (const hash of hashes) {
        const held = model.get(hash);
        expect(table.has(hash)).toBe(held !== undefined);
        if (held === undefined) expect(table.get(hash)).toBeNull();
        else {
          expect(table.get(hash)).toMatchObject(flat(held.fields));
          expect(table.isCurrent(held.record)).toBe(true);
        }
      }
      for (const record of replaced) expect(table.isCurrent(record)).toBe(false);
      for (const id of workspaceIds) table.removeOf(id);
      expect([table.size, table.bytes]).toEqual([0, 0]);
    }),
    { numRuns: 300 },
  );
});

function aKey(workspaceId = newId('workspace')): KeyFields {
  const hash = randomBytes(32).toString('hex');
  return { hash, secretId: newId('keySecret'), id: newId('apiKey'), workspaceId, ...noDetails };
}

test('removing the keys of one workspace leaves all other keys and does not scan them', () => {
  const table = new KeyTable(100_000_000);
  const large = newId('workspace');
  const ofLarge = Array.from({ length: 5_000 }, () => aKey(large));
  const others = Array.from({ length: 5_000 }, () => aKey());
  ofLarge.forEach((key, index) => {
    table.put(key);
    table.put(others[index] ?? key);
  });
  table.removeOf(large);
  expect(table.size).toBe(others.length);
  expect(ofLarge.some(({ hash }) => table.has(hash))).toBe(false);
  expect(others.every((key) => table.get(key.hash)?.id === key.id)).toBe(true);
});

test('the memory budget is never exceeded, and keys in use are not evicted', () => {
  const bytesMax = 1_000_000;
  const table = new KeyTable(bytesMax);
  const used = aKey();
  table.put(used);
  for (let count = 0; count < 30_000; count += 1) {
    const key = aKey();
    const record = table.put(key);
    expect(table.isCurrent(record)).toBe(true);
    if (count % 100 === 0) expect(table.get(used.hash)?.id).toBe(used.id);
    expect(table.bytes).toBeLessThanOrEqual(bytesMax);
  }
  expect(table.has(used.hash)).toBe(true);
  expect(table.size).toBeGreaterThan(8_000);
});

test('the details of a key count towards the memory budget', () => {
  const table = new KeyTable(1_000_000);
  for (let count = 0; count < 10_000; count += 1) {
    const key = aKey();
    table.put({ ...key, shared: { ...key.shared, allowedOrigins: [`https://${count}.example.com`] } });
  }
  expect(table.bytes).toBeLessThanOrEqual(1_000_000);
  expect(table.size).toBeLessThan(1_000);
});

test('an id of another form is refused instead of being packed into a different id', () => {
  expect(() => new KeyTable(1_000_000).put({ ...aKey(), id: 'key_1' })).toThrow('Not an id: key_1');
});
