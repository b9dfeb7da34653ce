import { extname } from 'node:path';
import { StartError } from '../errors.js';
import { explainIssues } from './explain-issue.js';
import { findNearest } from './nearest.js';
import { presets } from './presets/index.js';
import { type Product, type Products, productSchema } from './product.js';
import { readProductFile } from './read-product-file.js';
import { canShareSecret } from './secret-format.js';

/** The products that come with the server. */
export const presetNames: readonly string[] = [...presets.keys()];

/** One server sells a handful of products; a longer list is a mistake. */
const productsMax = 100;
const extensions: readonly string[] = ['.json', '.yaml', '.yml'];

/** A product and where it came from, in words for an operator. */
interface LoadedProduct {
  readonly product: Product;
  readonly source: string;
}

/**
 * Loads the products of this server.
 * @param names presets by name (see {@link presetNames}), or paths of product files (.yaml, .yml, .json), relative to
 *   the working directory. The first is the primary one. docs/products.md describes the file.
 * @throws StartError for the first mistake, naming the file, the line, the field and what is expected of it.
 */
export async function loadProducts(names: readonly string[]): Promise<Products> {
  if (names.length === 0) {
    throw new StartError(
      `No product is named. Name a preset (${presetNames.join(', ')}) or the path of a product file.`,
    );
  }
  if (names.length > productsMax) {
    throw new StartError(
      `${names.length} products are named, and at most ${productsMax} are loaded. Run several servers.`,
    );
  }
  const loaded = await Promise.all(names.map(loadProduct));
  refuseDoubles(loaded);
  return combineProducts(loaded.map(({ product }) => product));
}

/**
 * Puts checked products together, the primary one first.
 * @throws Error where the list is empty.
 */
export function combineProducts(all: readonly Product[]): Products {
  const [primary] = all;
  if (primary === undefined) throw new Error('A server has at least one product.');
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
    `There is no preset called ${JSON.stringify(name)}.${suggestion} ${list}; a product file is named by its path, ending in ${extensions.join(', ')}.`,
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
    `The product file ${path}, line ${lineOf(mistake.path)}: ${field} ${mistake.problem}${stop}${more} docs/products.md describes every field.`,
  );
}

/** `rateLimits[0].limit`; a name that is not plain stands in quotes. */
function writePath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((written, step) => {
    if (typeof step === 'number') return `${written}[${step}]`;
    const name = String(step);
    const plain = /^[\w:-]{1,60}$/.test(name) ? name : JSON.stringify(name.slice(0, 60));
    return written === '' ? plain : `${written}.${plain}`;
  }, '');
}

/**
 * Refuses two products that no one could tell apart: of one slug, or with credentials that could be either's.
 * Key ids are compared whatever their headers are called, because a verification is handed the pair without its headers.
 */
function refuseDoubles(loaded: readonly LoadedProduct[]): void {
  for (const [index, one] of loaded.entries()) {
    for (const other of loaded.slice(index + 1)) {
      const both = `${sentenceCase(one.source)} and ${other.source}`;
      if (one.product.slug === other.product.slug) {
        throw new StartError(
          one.source === other.source
            ? `${sentenceCase(one.source)} is named twice. Name it once.`
            : `${both} have the same slug, ${one.product.slug}. Give one of them another.`,
        );
      }
      const field = findSharedForm(one.product, other.product);
      if (field !== null) {
        throw new StartError(
          `${both} cannot be told apart by their credentials: ${field} could be either's. Give one of them another prefix.`,
        );
      }
    }
  }
}

/** The field of the second product whose secrets could be the first one's, or null. */
function findSharedForm(one: Product, other: Product): string | null {
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
