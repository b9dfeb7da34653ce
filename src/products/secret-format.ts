import { randomBytes as secureRandomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Product, Products, SecretFormat } from './product.js';

export type Environment = 'LIVE' | 'TEST';

/** Whose secret a token has the form of, and in which environment. Says nothing about whether such a key exists. */
export interface BearerMatch {
  readonly product: Product;
  readonly environment: Environment;
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const alphabets = { hex: '0123456789abcdef', base62 } as const satisfies Record<SecretFormat['alphabet'], string>;
const patterns = { hex: '[0-9a-f]', base62: '[0-9A-Za-z]' } as const satisfies Record<SecretFormat['alphabet'], string>;

/** 62^6 is more than 2^32, so six characters hold every CRC32. */
const checksumLength = 6;

/**
 * Draws a new secret: prefix, random characters, and the checksum where the format has one.
 * @param randomBytes a source of that many random bytes; tests hand in their own.
 * @throws Error where the source yields hardly a byte that can be used, as a broken one does.
 */
export function generateSecret(
  format: SecretFormat,
  randomBytes: (size: number) => Uint8Array = secureRandomBytes,
): string {
  const body = format.prefix + randomCharacters(alphabets[format.alphabet], format.length, randomBytes);
  return format.checksum === undefined ? body : body + checksumOf(body);
}

/** Rejection sampling: a byte past the last whole multiple of the alphabet is thrown away, or its first characters would come up more often. */
function randomCharacters(alphabet: string, length: number, randomBytes: (size: number) => Uint8Array): string {
  const acceptedBelow = 256 - (256 % alphabet.length);
  // A round loses at most 8 bytes in 256; that 64 rounds do not suffice cannot happen with a source that works.
  const roundsMax = 64;
  let characters = '';
  for (let round = 0; round < roundsMax; round += 1) {
    for (const byte of randomBytes(length - characters.length)) {
      if (byte < acceptedBelow) characters += alphabet.charAt(byte % alphabet.length);
    }
    if (characters.length === length) return characters;
  }
  throw new Error('The source of random bytes does not work.');
}

/** The CRC32 (ISO 3309, as in zlib) of all that stands before it, as six base62 digits, most significant first. */
function checksumOf(body: string): string {
  let rest = crc32(body);
  let digits = '';
  for (let place = 0; place < checksumLength; place += 1) {
    digits = base62.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** How many characters a secret of this format has in all. */
export function secretLength(format: SecretFormat): number {
  return format.prefix.length + format.length + (format.checksum === undefined ? 0 : checksumLength);
}

const patternsByFormat = new WeakMap<SecretFormat, RegExp>();

function patternOf(format: SecretFormat): RegExp {
  const known = patternsByFormat.get(format);
  if (known !== undefined) return known;
  const checksum = format.checksum === undefined ? '' : `${patterns.base62}{${checksumLength}}`;
  // A prefix holds letters, digits, _ and - only, none of which means anything here. No flag m: $ is the very end.
  const pattern = new RegExp(`^${format.prefix}${patterns[format.alphabet]}{${format.length}}${checksum}$`);
  patternsByFormat.set(format, pattern);
  return pattern;
}

/** Whether a secret has exactly this form: prefix, alphabet, length, and a checksum that is right. Needs no look-up. */
export function matchesFormat(format: SecretFormat, secret: string): boolean {
  // The length comes first, so that an endless token costs nothing.
  if (secret.length !== secretLength(format) || !patternOf(format).test(secret)) return false;
  return format.checksum === undefined || secret.endsWith(checksumOf(secret.slice(0, -checksumLength)));
}

/**
 * Whether some secret could have both forms, so that they cannot be told apart by looking.
 * Checksums are not counted as a difference: one in 2^32 secrets has the right one by chance.
 */
export function canShareSecret(a: SecretFormat, b: SecretFormat): boolean {
  if (secretLength(a) !== secretLength(b)) return false;
  for (let position = 0; position < secretLength(a); position += 1) {
    const others = charactersAt(b, position);
    if (![...charactersAt(a, position)].some((character) => others.includes(character))) return false;
  }
  return true;
}

/** The characters that can stand at a position of a secret. */
function charactersAt(format: SecretFormat, position: number): string {
  if (position < format.prefix.length) return format.prefix.charAt(position);
  return position < format.prefix.length + format.length ? alphabets[format.alphabet] : base62;
}

interface BearerForm {
  readonly format: SecretFormat;
  readonly match: BearerMatch;
}

interface BearerForms {
  /** Most specific first: the longest prefix before the shorter. */
  readonly all: readonly BearerForm[];
  readonly byLength: ReadonlyMap<number, readonly BearerForm[]>;
}

const formsByProducts = new WeakMap<Products, BearerForms>();

/** The forms of all bearer secrets, found once for each set of products. */
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

/** Tells whose key a bearer token is by its form alone, or null where no product writes its keys so. Null spares the look-up. */
export function findBearerProduct(products: Products, token: string): BearerMatch | null {
  for (const { format, match } of bearerForms(products).byLength.get(token.length) ?? []) {
    if (matchesFormat(format, token)) return match;
  }
  return null;
}

/**
 * Tells whose key a bearer token was meant to be: it begins like one, though it may be cut short or mistyped.
 * So a malformed key is refused in the words of its product. Null for a token that begins like none,
 * and never a product whose keys have no prefix.
 */
export function looksLikeBearer(products: Products, token: string): BearerMatch | null {
  for (const { format, match } of bearerForms(products).all) {
    if (format.prefix !== '' && token.startsWith(format.prefix)) return match;
  }
  return null;
}

/** Tells whose key a header pair is by the form of its key id, or null where no product writes its key ids so. */
export function findPairProduct(products: Products, keyId: string): Product | null {
  for (const product of products.all) {
    if (product.credential.transport === 'headerPair' && matchesFormat(product.credential.keyId, keyId)) return product;
  }
  return null;
}
