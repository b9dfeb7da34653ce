import { randomBytes as secureRandomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Product, Products, SecretFormat } from './product.js';

export type Environment = 'LIVE' | 'TEST';

/** The product and environment whose secret format a token matches. The key may still not exist. */
export interface BearerMatch {
  readonly product: Product;
  readonly environment: Environment;
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const alphabets = { hex: '0123456789abcdef', base62 } as const satisfies Record<SecretFormat['alphabet'], string>;
const patterns = { hex: '[0-9a-f]', base62: '[0-9A-Za-z]' } as const satisfies Record<SecretFormat['alphabet'], string>;

/** 62^6 is more than 2^32, so six characters can represent every CRC32. */
const checksumLength = 6;

/**
 * Generates a new secret: prefix, random characters, and the checksum if the format has one.
 * @param randomBytes returns that many random bytes; tests pass their own.
 * @throws Error if the source of random bytes is broken and yields hardly any usable byte.
 */
export function generateSecret(
  format: SecretFormat,
  randomBytes: (size: number) => Uint8Array = secureRandomBytes,
): string {
  const body = format.prefix + randomCharacters(alphabets[format.alphabet], format.length, randomBytes);
  return format.checksum === undefined ? body : body + checksumOf(body);
}

/**
 * Rejection sampling: a byte beyond the last whole multiple of the alphabet's length is discarded. Otherwise
 * the first characters of the alphabet would be more frequent.
 */
function randomCharacters(alphabet: string, length: number, randomBytes: (size: number) => Uint8Array): string {
  const acceptedBelow = 256 - (256 % alphabet.length);
  // A round discards at most 8 of 256 byte values, so 64 rounds are enough for any working source.
  const roundsMax = 64;
  let characters = '';
  for (let round = 0; round < roundsMax; round += 1) {
    for (const byte of randomBytes(length - characters.length)) {
      if (byte < acceptedBelow) characters += alphabet.charAt(byte % alphabet.length);
    }
    if (characters.length === length) return characters;
  }
  throw new Error('The source of random bytes is broken.');
}

/** The CRC32 (ISO 3309, as in zlib) of the body, as six base62 digits, most significant first. */
function checksumOf(body: string): string {
  let rest = crc32(body);
  let digits = '';
  for (let digit = 0; digit < checksumLength; digit += 1) {
    digits = base62.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** Total number of characters of a secret of this format. */
export function secretLength(format: SecretFormat): number {
  return format.prefix.length + format.length + (format.checksum === undefined ? 0 : checksumLength);
}

const patternsByFormat = new WeakMap<SecretFormat, RegExp>();

function patternOf(format: SecretFormat): RegExp {
  const known = patternsByFormat.get(format);
  if (known !== undefined) return known;
  const checksum = format.checksum === undefined ? '' : `${patterns.base62}{${checksumLength}}`;
  // A prefix has only letters, digits, _ and -, so it needs no escaping. Without the flag m, $ matches only
  // the end.
  const pattern = new RegExp(`^${format.prefix}${patterns[format.alphabet]}{${format.length}}${checksum}$`);
  patternsByFormat.set(format, pattern);
  return pattern;
}

/** Whether a secret matches a format: prefix, alphabet, length and checksum. Needs no database query. */
export function matchesFormat(format: SecretFormat, secret: string): boolean {
  // The length is checked first, so that a very long token costs nothing.
  if (secret.length !== secretLength(format) || !patternOf(format).test(secret)) return false;
  return format.checksum === undefined || secret.endsWith(checksumOf(secret.slice(0, -checksumLength)));
}

/**
 * Whether some secret could match both formats. Checksums do not count as a difference: one in 2^32 secrets
 * has a valid one by chance.
 */
export function canShareSecret(a: SecretFormat, b: SecretFormat): boolean {
  if (secretLength(a) !== secretLength(b)) return false;
  for (let position = 0; position < secretLength(a); position += 1) {
    const others = charactersAt(b, position);
    if (![...charactersAt(a, position)].some((character) => others.includes(character))) return false;
  }
  return true;
}

/** The characters that are possible at a position of a secret. */
function charactersAt(format: SecretFormat, position: number): string {
  if (position < format.prefix.length) return format.prefix.charAt(position);
  return position < format.prefix.length + format.length ? alphabets[format.alphabet] : base62;
}

interface BearerForm {
  readonly format: SecretFormat;
  readonly match: BearerMatch;
}

interface BearerForms {
  /** Sorted by length of the prefix, longest first. */
  readonly all: readonly BearerForm[];
  readonly byLength: ReadonlyMap<number, readonly BearerForm[]>;
}

const formsByProducts = new WeakMap<Products, BearerForms>();

/** The formats of all bearer secrets, computed once per set of products. */
function bearerForms(products: Products): BearerForms {
  const known = formsByProducts.get(products);
  if (known !== undefined) return known;
  const all: BearerForm[] = [];
  for (const product of products.all) {
    if (product.credential.transport !== 'bearer') continue;
    const { LIVE, TEST } = product.credential.secrets;
    all.push({ format: LIVE, match: { product, environment: 'LIVE' } });
    if (TEST !== undefined) all.push({ format: TEST, match: { product, environment: 'TEST' } });
  }
  all.sort((a, b) => b.format.prefix.length - a.format.prefix.length);
  const byLength = new Map<number, BearerForm[]>();
  for (const form of all) {
    const length = secretLength(form.format);
    byLength.set(length, [...(byLength.get(length) ?? []), form]);
  }
  const forms = { all, byLength };
  formsByProducts.set(products, forms);
  return forms;
}

/** Finds the product whose secret format a bearer token matches. Null: no product, so no query is needed. */
export function findBearerProduct(products: Products, token: string): BearerMatch | null {
  for (const { format, match } of bearerForms(products).byLength.get(token.length) ?? []) {
    if (matchesFormat(format, token)) return match;
  }
  return null;
}

/**
 * Finds the product whose prefix a bearer token has, even if the rest is malformed. A malformed key is thus
 * refused with the wording of its product. Null if no prefix matches; products without a prefix are never
 * returned.
 */
export function looksLikeBearer(products: Products, token: string): BearerMatch | null {
  for (const { format, match } of bearerForms(products).all) {
    if (format.prefix !== '' && token.startsWith(format.prefix)) return match;
  }
  return null;
}

/** Finds the product whose key id format the key id of a header pair matches, or null. */
export function findPairProduct(products: Products, keyId: string): Product | null {
  for (const product of products.all) {
    if (product.credential.transport === 'headerPair' && matchesFormat(product.credential.keyId, keyId)) return product;
  }
  return null;
}
