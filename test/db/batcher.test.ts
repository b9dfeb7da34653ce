import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createBatcher } from '../../src/db/batcher.js';

/** A batcher whose batches end when the test ends them. */
function aBatcher(options: { sizeMax: number; concurrencyMax?: number }) {
  const batches: { readonly items: readonly number[]; end(): Promise<void> }[] = [];
  const add = createBatcher<number, number>(
    (items) =>
      new Promise((resolve) => {
        batches.push({
          items,
          async end() {
            resolve(items.map((item) => item * 10));
            await setImmediate();
          },
        });
      }),
    options,
  );
  return { add, sizes: () => batches.map(({ items }) => items.length), end: (index: number) => batches[index]?.end() };
}

test('items that arrive while a batch runs form the next batch, and each item gets its own result', async () => {
  const { add, sizes, end } = aBatcher({ sizeMax: 10 });
  const first = [1, 2].map(add);
  await setImmediate();
  const second = [3, 4, 5].map(add);
  await setImmediate();
  expect(sizes()).toEqual([2]);
  await end(0);
  expect(sizes()).toEqual([2, 3]);
  await end(1);
  expect(await Promise.all([...first, ...second])).toEqual([10, 20, 30, 40, 50]);
});

test('a batch never exceeds sizeMax, and by default one batch runs at a time', async () => {
  const { add, sizes, end } = aBatcher({ sizeMax: 2 });
  const results = [1, 2, 3, 4, 5].map(add);
  await setImmediate();
  expect(sizes()).toEqual([2]);
  await end(0);
  await end(1);
  await end(2);
  expect(sizes()).toEqual([2, 2, 1]);
  expect(await Promise.all(results)).toEqual([10, 20, 30, 40, 50]);
});

test('a full batch runs concurrently with another, and a batch that is not full waits', async () => {
  const { add, sizes, end } = aBatcher({ sizeMax: 2, concurrencyMax: 2 });
  const results = [1].map(add);
  await setImmediate();
  results.push(add(2));
  await setImmediate();
  expect(sizes()).toEqual([1]);
  results.push(add(3));
  await setImmediate();
  expect(sizes()).toEqual([1, 2]);
  results.push(...[4, 5, 6].map(add));
  await setImmediate();
  expect(sizes()).toEqual([1, 2]);
  await end(1);
  expect(sizes()).toEqual([1, 2, 2]);
  await end(0);
  expect(sizes()).toEqual([1, 2, 2]);
  await end(2);
  expect(sizes()).toEqual([1, 2, 2, 1]);
  await end(3);
  expect(await Promise.all(results)).toEqual([10, 20, 30, 40, 50, 60]);
});

test('a failed batch rejects only its own items, and the next batch runs', async () => {
  let count = 0;
  const add = createBatcher<number, number>(async (items) => {
    count += 1;
    if (count === 1) throw new Error('away');
    return items.map((item) => (item < 0 ? new Error('negative') : item));
  });
  await expect(add(1)).rejects.toThrow('away');
  expect(await Promise.allSettled([add(2), add(-1)])).toMatchObject([
    { status: 'fulfilled', value: 2 },
    { status: 'rejected', reason: { message: 'negative' } },
  ]);
});
