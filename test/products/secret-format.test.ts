import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findBearerProduct, findPairProduct, looksLikeBearer } from '../../src/products/find-product.js';
import { combineProducts, loadProducts, presetNames } from '../../src/products/load.js';
import { type Product, productSchema } from '../../src/products/product.js';
import type { SecretFormat } from '../../src/products/secret-format.js';
import {
  canShareSecret,
  type Environment,
  generateSecret,
  matchesFormat,
  secretLength,
} from '../../src/products/secret-format.js';

const products = await loadProducts(presetNames);

interface NamedFormat {
  readonly product: Product;
  readonly environment: Environment;
  readonly format: SecretFormat;
}

const formats: NamedFormat[] = products.all.flatMap((product) => {
  const { LIVE, TEST } = product.credential.secrets;
  const live: NamedFormat = { product, environment: 'LIVE', format: LIVE };
  return TEST === undefined ? [live] : [live, { product, environment: 'TEST', format: TEST }];
});

/** A seeded source of bytes, so that a failure can be reproduced. */
function seededBytes(seed: number): (size: number) => Uint8Array {
  let block = 0;
  return (size) => {
    const bytes = new Uint8Array(size);
    for (let filled = 0; filled < size; filled += 32) {
      const digest = createHash('sha256').update(`${seed}:${block}`).digest();
      bytes.set(digest.subarray(0, Math.min(32, size - filled)), filled);
      block += 1;
    }
    return bytes;
  };
}

function formatOf(slug: string, environment: Environment = 'LIVE'): SecretFormat {
  const found = formats.find((named) => named.product.slug === slug && named.environment === environment);
  if (found === undefined) throw new Error(`no format of ${slug}`);
  return found.format;
}

const anyFormat: fc.Arbitrary<SecretFormat> = fc.record(
  {
    prefix: fc.stringMatching(/^[A-Za-z0-9_-]{0,40}$/),
    alphabet: fc.constantFrom('hex', 'base62'),
    length: fc.integer({ min: 24, max: 128 }),
    checksum: fc.constant('crc32-base62'),
  },
  { requiredKeys: ['prefix', 'alphabet', 'length'] },
);

test('a generated secret matches the format of its own preset and no other', () => {
  fc.assert(
    fc.property(fc.constantFrom(...formats), fc.integer(), ({ format }, seed) => {
      const secret = generateSecret(format, seededBytes(seed));
      expect(formats.filter((other) => matchesFormat(other.format, secret)).map((other) => other.format)).toEqual([
        format,
      ]);
    }),
  );
});

test('a generated secret matches any valid format and has its length', () => {
  fc.assert(
    fc.property(anyFormat, fc.integer(), (format, seed) => {
      const secret = generateSecret(format, seededBytes(seed));
      expect(secret).toHaveLength(secretLength(format));
      expect(matchesFormat(format, secret)).toBe(true);
    }),
  );
});

test('canShareSecret is true for two formats that match the same secret', () => {
  fc.assert(
    fc.property(anyFormat, anyFormat, fc.integer(), (a, b, seed) => {
      if (matchesFormat(b, generateSecret(a, seededBytes(seed)))) expect(canShareSecret(a, b)).toBe(true);
      expect(canShareSecret(a, a)).toBe(true);
      expect(canShareSecret(a, b)).toBe(canShareSecret(b, a));
    }),
  );
});

test('a default key with one changed character is refused without a database query', () => {
  const printable = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(
      fc.constantFrom<Environment>('LIVE', 'TEST'),
      fc.integer(),
      fc.nat(43),
      fc.oneof(printable, fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz')),
      (environment, seed, position, character) => {
        const secret = generateSecret(formatOf('default', environment), seededBytes(seed));
        fc.pre(secret[position] !== character);
        const changed = secret.slice(0, position) + character + secret.slice(position + 1);
        expect(findBearerProduct(products, changed)).toBeNull();
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a default key consists of its prefix, 30 random characters and the CRC32 of both in base 62', () => {
  // CRC32("tk_live_" + 30 zeros), computed with zlib of Python: 0x7d9de94b = 2107500875.
  const zeros = generateSecret(formatOf('default'), (size) => new Uint8Array(size));
  expect(zeros.slice(0, 38)).toBe(`tk_live_${'0'.repeat(30)}`);
  expect(zeros.slice(38)).toBe('2IcrFb');
});

test('a truncated, extended, padded or upper-cased key is refused', () => {
  for (const { format } of formats) {
    const secret = generateSecret(format, seededBytes(7));
    const wrong = [
      '',
      secret.slice(0, -1),
      `${secret}0`,
      ` ${secret}`,
      `${secret}\n`,
      `${secret.slice(0, -1)}\n`,
      // A hex secret is lower case; base62 is case-sensitive.
      ...(format.alphabet === 'hex' ? [secret.toUpperCase()] : []),
      `${secret.slice(0, -1)}é`,
      secret.repeat(10_000),
    ];
    expect(wrong.filter((token) => matchesFormat(format, token))).toEqual([]);
  }
});

test('all characters of generated secrets are equally frequent', () => {
  for (const [alphabet, size] of [
    ['base62', 62],
    ['hex', 16],
  ] as const) {
    const counts = new Map<string, number>();
    const bytes = seededBytes(62);
    const drawn = 128 * 1_000;
    for (let secret = 0; secret < 1_000; secret += 1) {
      for (const character of generateSecret({ prefix: '', alphabet, length: 128 }, bytes)) {
        counts.set(character, (counts.get(character) ?? 0) + 1);
      }
    }
    const expected = drawn / size;
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(counts.size).toBe(size);
    // With 61 degrees of freedom it exceeds 120 once in 100,000 runs; modulo bias would reach about 900.
    expect(chiSquared).toBeLessThan(120);
  }
});

test('generated secrets are unique', () => {
  const secrets = Array.from({ length: 1_000 }, () => generateSecret(formatOf('makistry')));
  expect(new Set(secrets).size).toBe(1_000);
});

test('a broken source of random bytes throws instead of generating a secret', () => {
  expect(() => generateSecret(formatOf('makra'), (size) => new Uint8Array(size).fill(255))).toThrow(
    'The source of random bytes is broken.',
  );
});

test('a bearer token identifies its product and environment', () => {
  const found = formats
    .filter(({ product }) => product.credential.transport === 'bearer')
    .map(({ format }) => findBearerProduct(products, generateSecret(format)))
    .map((match) => match && [match.product.slug, match.environment]);
  expect(found).toEqual([
    ['default', 'LIVE'],
    ['default', 'TEST'],
    ['makistry', 'LIVE'],
    ['makra', 'LIVE'],
    ['masko', 'LIVE'],
    ['craftkit', 'LIVE'],
    ['craftkit', 'TEST'],
  ]);
});

test('the secret of a header pair is no bearer token of any product, and its key id identifies the product', () => {
  const { credential } = products.find('makepay') ?? products.primary;
  if (credential.transport !== 'headerPair') throw new Error('makepay uses a header pair');
  const keyId = generateSecret(credential.keyId);
  expect(findBearerProduct(products, keyId)).toBeNull();
  expect(findBearerProduct(products, generateSecret(credential.secrets.LIVE))).toBeNull();
  expect(findPairProduct(products, keyId)?.slug).toBe('makepay');
  expect(findPairProduct(products, `${keyId}0`)).toBeNull();
});

test('a bearer token that is not a key belongs to no product', () => {
  const others = [
    `tks_${'a'.repeat(32)}`,
    'a'.repeat(32),
    'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
    'constructor',
    '',
  ];
  expect(others.map((token) => findBearerProduct(products, token))).toEqual(others.map(() => null));
  expect(others.map((token) => looksLikeBearer(products, token))).toEqual(others.map(() => null));
});

test('a malformed key is recognized by its prefix, so that its own product rejects it', () => {
  const malformed = ['mk_pub_x', 'masko_', 'ck_test_short', 'tk_live_mistyped', 'mk_pu'];
  expect(
    malformed
      .map((token) => looksLikeBearer(products, token))
      .map((match) => match && [match.product.slug, match.environment]),
  ).toEqual([['makistry', 'LIVE'], ['masko', 'LIVE'], ['craftkit', 'TEST'], ['default', 'LIVE'], null]);
});

test('the most specific prefix is recognized first, regardless of the order of products', () => {
  const bearer = (slug: string, prefix: string, length: number) =>
    productSchema.parse({
      slug,
      title: slug,
      description: slug,
      issuers: { by: 'operator' },
      credential: { transport: 'bearer', secrets: { LIVE: { prefix, alphabet: 'base62', length } } },
    });
  const [opaque, short, long] = [bearer('opaque', '', 40), bearer('short', 'a', 39), bearer('long', 'ab', 38)];
  for (const order of [
    [opaque, short, long],
    [long, short, opaque],
  ]) {
    const mixed = combineProducts(order);
    const tokens = ['0', 'a0', 'ab'].map((start) => start.padEnd(40, '0'));
    expect(tokens.map((token) => findBearerProduct(mixed, token)?.product.slug)).toEqual(['opaque', 'short', 'long']);
    expect(['ab', 'ac', '0'].map((token) => looksLikeBearer(mixed, token)?.product.slug)).toEqual([
      'long',
      'short',
      undefined,
    ]);
  }
});
