import { extname } from 'node:path';
import { StartError } from '../errors.js';
import { explainIssues } from './explain-issue.js';
import { findNearest } from './nearest.js';
import { presets } from './presets/index.js';
import { type Product, type Products, productSchema } from './product.js';
import { readProductFile } from './read-product-file.js';
import { canShareSecret } from './secret-format.js';

/** Names of the products that come with the server. */
export const presetNames: readonly string[] = [...presets.keys()];

/** One server has a handful of products; a longer list is an error. */
const productsMax = 100;
const extensions: readonly string[] = ['.json', '.yaml', '.yml'];

/** A product and its source, for error messages. */
interface LoadedProduct {
  readonly product: Product;
  readonly source: string;
}

/**
 * Loads the products of this server.
 * @param names presets by name (see {@link presetNames}), or paths of product files (.yaml, .yml, .json),
 *   relative to the working directory. The first is the primary one. docs/products.md describes the file.
 * @throws StartError for the first error: it names the file, the line, the field and the expected value.
 */
export async function loadProducts(names: readonly string[]): Promise<Products> {
  if (names.length === 0) {
    throw new StartError(
      `The list of products is empty. Add a preset (${presetNames.join(', ')}) or the path of a product file.`,
    );
  }
  if (names.length > productsMax) {
    throw new StartError(
      `The list has ${names.length} products, and the maximum is ${productsMax}. Run several servers.`,
    );
  }
  const loaded = await Promise.all(names.map(loadProduct));
  refuseDuplicates(loaded);
  return combineProducts(loaded.map(({ product }) => product));
}

/**
 * Combines validated products. The first one is the primary one.
 * @throws Error if the list is empty.
 */
export function combineProducts(all: readonly Product[]): Products {
  const [primary] = all;
  if (primary === undefined) throw new Error('A server needs at least one product.');
  const bySlug = new Map(all.map((product) => [product.slug, product]));
  return { all, primary, find: (slug) => bySlug.get(slug) ?? null };
}

function loadProduct(name: string): Promise<LoadedProduct> {
  const extension = extname(name).toLowerCase();
  if (extensions.includes(extension)) return loadProductFile(name);
  return loadPreset(name);
}

async function loadPreset(name: string): Promise<LoadedProduct> {
  const preset = presets.get(name);
  if (preset !== undefined) return { product: productSchema.parse(preset), source: `the preset ${name}` };
  const list = `The presets are ${presetNames.join(', ')}`;
  if (/[\\/.]/.test(name)) {
    throw new StartError(`The product file ${name} must end in ${extensions.join(', ')}. ${list}.`);
  }
  const nearest = findNearest(name, presetNames);
  const suggestion = nearest === null ? '' : ` Did you mean ${nearest}?`;
  throw new StartError(
    `There is no preset called ${JSON.stringify(name)}.${suggestion} ${list}. ` +
      `To use a product file, give its path, which ends in ${extensions.join(', ')}.`,
  );
}

async function loadProductFile(path: string): Promise<LoadedProduct> {
  const source = `the product file ${path}`;
  const { value, lineOf } = await readProductFile(path);
  const parsed = productSchema.safeParse(value);
  if (parsed.success) return { product: parsed.data, source };
  const mistakes = explainIssues(parsed.error.issues, value).sort((a, b) => lineOf(a.path) - lineOf(b.path));
  const [mistake, ...others] = mistakes;
  if (mistake === undefined) throw parsed.error;
  const field = mistake.path.length === 0 ? 'the file' : writePath(mistake.path);
  const more = others.length === 0 ? '' : ` (And ${others.length} more.)`;
  const stop = mistake.problem.endsWith('?') ? '' : '.';
  throw new StartError(
    `The product file ${path}, line ${lineOf(mistake.path)}: ${field} ${mistake.problem}${stop}${more} ` +
      'docs/products.md describes every field.',
  );
}

/** Such as `rateLimits[0].limit`. Unusual names are quoted. */
function writePath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((written, step) => {
    if (typeof step === 'number') return `${written}[${step}]`;
    const name = String(step);
    const plain = /^[\w:-]{1,60}$/.test(name) ? name : JSON.stringify(name.slice(0, 60));
    return written === '' ? plain : `${written}.${plain}`;
  }, '');
}

/**
 * Refuses two products with the same slug, or with credentials that could belong to either. Key ids are
 * compared regardless of their header names, because a verification gets the pair without the names.
 */
function refuseDuplicates(loaded: readonly LoadedProduct[]): void {
  for (const [index, one] of loaded.entries()) {
    for (const other of loaded.slice(index + 1)) {
      const both = `${sentenceCase(one.source)} and ${other.source}`;
      if (one.product.slug === other.product.slug) {
        throw new StartError(
          one.source === other.source
            ? `${sentenceCase(one.source)} is listed twice. Remove one.`
            : `${both} have the same slug, ${one.product.slug}. Change one of them.`,
        );
      }
      const field = findAmbiguousField(one.product, other.product);
      if (field !== null) {
        throw new StartError(
          `${both} have ambiguous credentials: ${field} could belong to both. Change one of the prefixes.`,
        );
      }
    }
  }
}

/** The field of the second product whose secrets could also be secrets of the first product, or null. */
function findAmbiguousField(one: Product, other: Product): string | null {
  if (one.credential.transport === 'headerPair') {
    if (other.credential.transport !== 'headerPair') return null;
    return canShareSecret(one.credential.keyId, other.credential.keyId) ? 'a key of credential.keyId' : null;
  }
  if (other.credential.transport !== 'bearer') return null;
  for (const format of Object.values(one.credential.secrets)) {
    for (const [environment, otherFormat] of Object.entries(other.credential.secrets)) {
      if (canShareSecret(format, otherFormat)) return `a key of credential.secrets.${environment}`;
    }
  }
  return null;
}

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
