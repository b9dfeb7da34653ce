import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ProductFile } from '../../src/products/product.js';

export const metered = {
  slug: 'metered',
  title: 'Metered',
  description: 'Limits and nothing else.',
  credential: { transport: 'bearer', secrets: { LIVE: { prefix: 'metered_', alphabet: 'base62', length: 32 } } },
  issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['OWNER'] },
} satisfies ProductFile;

/** The path of a product file that is removed when the test ends. */
export async function productFile(rest: Partial<ProductFile>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-metered-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'metered.json');
  await writeFile(path, JSON.stringify({ ...metered, ...rest }));
  return path;
}
