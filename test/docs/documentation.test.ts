import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadProducts } from '../../src/products/load.js';
import { variableNames } from '../../src/settings.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const schema = buildSchema(await readFile(join(root, 'schema.graphql'), 'utf8'));

/** The text of the documentation pages by path in the repository. */
const pages = await readPages();

async function readPages(): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(join(root, 'docs'), { recursive: true });
  const paths = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...names.map((name) => join('docs', name))];
  const texts = paths.filter((path) => path.endsWith('.md')).map(read);
  return new Map(await Promise.all(texts));
}

async function read(path: string): Promise<[string, string]> {
  return [path, await readFile(join(root, path), 'utf8')];
}

/** Links to files of this repository, each with the heading that it refers to. */
function linksOf(text: string): { target: string; heading: string | undefined }[] {
  return [...withoutCode(text).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
    ([, target = '', heading]) => ({
      target,
      heading,
    }),
  );
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

/** Headings as in link fragments: lower case, without punctuation, with hyphens for spaces. */
function headingsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

describe('documentation links', () => {
  test.each([...pages.keys()])('of %s point to existing files and headings', async (path) => {
    for (const { target, heading } of linksOf(pages.get(path) ?? '')) {
      const place = target === '' ? path : relative(root, join(root, dirname(path), target));
      await expect(stat(join(root, place)), `${path} links to ${target}`).resolves.toBeDefined();
      if (heading !== undefined)
        expect(headingsOf(pages.get(place) ?? ''), `${path} links to ${place}`).toContain(heading);
    }
  });

  test('from the indexes reach every page', () => {
    const indexes = ['docs/README.md', 'docs/decisions/README.md'];
    const reached = indexes.flatMap((index) =>
      linksOf(pages.get(index) ?? '').map(({ target }) => join(dirname(index), target)),
    );
    const inDocs = [...pages.keys()].filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(inDocs.filter((path) => !reached.includes(path))).toEqual([]);
  });
});

test('every GraphQL operation in the documentation is valid in the schema', () => {
  const operations = [...pages].flatMap(([path, text]) =>
    [...text.matchAll(/^```graphql\n([\s\S]*?)^```$/gm)].map(([, document = '']) => ({ path, document })),
  );
  expect(operations.length).toBeGreaterThan(20);
  for (const { path, document } of operations) {
    expect(validate(schema, parse(document)), `${path}: ${document}`).toEqual([]);
  }
});

test('every test that the threat model names exists', async () => {
  const table = /^## Threats\n([\s\S]*?)^## /m.exec(pages.get('docs/threat-model.md') ?? '')?.[1] ?? '';
  const cells = table.split('\n').flatMap((line) => (line.startsWith('| ') ? [line.split(' | ').at(-1) ?? ''] : []));
  const missing: string[] = [];
  for (const cell of cells.slice(2)) {
    let folder = '';
    for (const [, name = ''] of cell.matchAll(/`([^`]+)`/g)) {
      if (name.startsWith('npm run ')) continue;
      folder = name.includes('/') ? dirname(name) : folder;
      const path = join(folder, name.slice(name.lastIndexOf('/') + 1));
      const candidates = [path, `${path}.test.ts`, `${path}.long.test.ts`];
      if (!candidates.some((each) => existsSync(join(root, each)))) missing.push(path);
    }
  }
  expect(cells.length).toBeGreaterThan(15);
  expect(missing).toEqual([]);
});

test.each(['README.md', 'docs/getting-started.md'])('the product file in %s loads', async (path) => {
  const product = /^```yaml\n([\s\S]*?)^```$/m.exec(pages.get(path) ?? '')?.[1] ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-docs-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'acme.yaml'), product);
  expect((await loadProducts([join(folder, 'acme.yaml')])).primary.slug).toBe('acme');
});

describe('the list of environment variables', () => {
  test('in README has every variable and no other', () => {
    const table = /^## Environment variables\n([\s\S]*?)^## /m.exec(pages.get('README.md') ?? '')?.[1] ?? '';
    const named = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(
      ([, cell = '']) => cell.match(/[A-Z][A-Z_]+/g) ?? [],
    );
    expect(named.sort()).toEqual([...variableNames].sort());
  });

  test('in .env.example has every variable and no other', async () => {
    const example = await readFile(join(root, '.env.example'), 'utf8');
    const named = [...example.matchAll(/^# ([A-Z][A-Z_]+)=/gm)].map(([, name]) => name);
    expect(named.sort()).toEqual([...variableNames].sort());
  });
});
