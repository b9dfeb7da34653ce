import { randomBytes as secureRandomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { z } from 'zod';

export type Environment = 'LIVE' | 'TEST';

/** Format of a secret: a prefix, random characters, and an optional CRC32 of all characters before it. */
export const secretFormat = z.strictObject({
  prefix: z
    .string()
    .max(40)
    .regex(/^[A-Za-z0-9_-]*$/, 'must consist of letters, digits, _ and -, or be empty'),
  alphabet: z.enum(['hex', 'base62']),
  /** Number of random characters after the prefix. At least 96 bits. */
  length: z.int().min(24).max(128),
  /** Six base62 characters: the CRC32 of prefix and random characters. */
  checksum: z.enum(['crc32-base62']).exactOptional(),
});
export type SecretFormat = z.infer<typeof secretFormat>;

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
