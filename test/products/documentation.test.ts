import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadProducts, presetNames } from '../../src/products/load.js';
import { productSchema } from '../../src/products/product.js';

const guide = await readFile(new URL('../../docs/products.md', import.meta.url), 'utf8');
const [example, headerPair] = [...guide.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? '');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollkeeper-products-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function loadText(text: string) {
  const path = join(folder, 'acme.yaml');
  await writeFile(path, text);
  return (await loadProducts([path])).primary;
}

test('the complete example of the guide loads and contains every field of a product', async () => {
  const product = await loadText(example ?? '');
  expect(product).toEqual(parse(example ?? '', (key, value) => withDefaults(key, value)));
  const written: Record<string, unknown> = parse(example ?? '');
  expect(Object.keys(written).sort()).toEqual(Object.keys(product).sort());
  expect(Object.keys(written.wording ?? {}).sort()).toEqual(Object.keys(product.wording).sort());
});

/** Adds the default that the example leaves out on purpose: a permission is grantable. */
function withDefaults(key: unknown, value: unknown): unknown {
  const isPermission = typeof key === 'string' && /^[a-z]+:[a-z]+$/.test(key) && typeof value === 'object';
  return isPermission ? { grantable: true, ...value } : value;
}

test('the header pair of the guide is a valid credential', async () => {
  const product = await loadText((example ?? '').replace(/^credential:.*?^$/ms, headerPair ?? ''));
  expect(product.credential).toEqual(parse(headerPair ?? '').credential);
});

test('the guide lists the default status and code of each rejection', () => {
  const { wording } = productSchema.parse({
    slug: 'bare',
    title: 'Bare',
    description: 'Only what is required.',
    credential: { transport: 'bearer', secrets: { LIVE: { prefix: 'bare_', alphabet: 'hex', length: 32 } } },
    issuers: { by: 'operator' },
  });
  const listed = [...guide.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| `(\w+)` \|/gm)].map((match) => match.slice(1, 4));
  expect(listed).toEqual(Object.entries(wording).map(([outcome, { status, code }]) => [outcome, String(status), code]));
});

test('the guide mentions every preset', () => {
  expect(presetNames.filter((name) => !guide.includes(`\`${name}\``))).toEqual([]);
});
