import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { StartError } from '../../src/errors.js';
import { combineProducts, loadProducts } from '../../src/products/load.js';
import type { ProductFile } from '../../src/products/product.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollkeeper-products-'));
});
afterAll(() => rm(folder, { recursive: true }));

const acme = {
  slug: 'acme',
  title: 'Acme',
  description: 'Maps.',
  credential: { transport: 'bearer', secrets: { LIVE: { prefix: 'acme_', alphabet: 'hex', length: 32 } } },
  issuers: { by: 'operator' },
} satisfies ProductFile;

let files = 0;

/** Writes a new file and returns its path. */
async function aFile(content: string | Uint8Array | object, extension = 'yaml'): Promise<string> {
  files += 1;
  const path = join(folder, `product-${files}.${extension}`);
  const isText = typeof content === 'string' || content instanceof Uint8Array;
  await writeFile(path, isText ? content : stringify(content));
  return path;
}

/** The error message of loading, with FILE1, FILE2 … in place of the paths. */
async function refusal(...names: string[]): Promise<string> {
  const error: unknown = await loadProducts(names).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof StartError)) throw new Error(`not a StartError: ${String(error)}`);
  return names.reduceRight((message, name, index) => message.replaceAll(name, `FILE${index + 1}`), error.message);
}

const seeGuide = 'docs/products.md describes every field.';

describe('loading products', () => {
  test('makes the first product the primary one and finds each by its slug', async () => {
    const products = await loadProducts([await aFile(acme), 'masko']);
    expect(products.all.map(({ slug }) => slug)).toEqual(['acme', 'masko']);
    expect(products.primary.slug).toBe('acme');
    expect(products.find('masko')?.title).toBe('Masko');
    expect(products.find('constructor')).toBeNull();
  });

  test('gives the same product for YAML and JSON', async () => {
    const [yaml, yml, json] = [
      await aFile(acme, 'yaml'),
      await aFile(acme, 'yml'),
      await aFile(JSON.stringify(acme, null, '\t'), 'JSON'),
    ];
    const loaded = await Promise.all([yaml, yml, json].map(async (path) => (await loadProducts([path])).primary));
    expect(loaded[1]).toEqual(loaded[0]);
    expect(loaded[2]).toEqual(loaded[0]);
  });

  test('sets the default of every omitted field', async () => {
    const { primary } = await loadProducts([await aFile(acme)]);
    expect({ ...primary, wording: Object.keys(primary.wording).length }).toEqual({
      ...acme,
      permissions: {},
      features: {},
      prices: {},
      freeCredits: 0,
      testKeys: { free: true, watermark: false },
      rateLimits: [],
      rateLimitFallback: 'open',
      activeKeysMax: null,
      signingSecrets: false,
      rotation: { overlapSecondsMax: 604_800 },
      webhooks: {
        retrySeconds: [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
        creditsLowAt: null,
      },
      allowedOrigins: false,
      keyPermissions: ['workspace:read', 'apiKey:read', 'credits:read'],
      holdSeconds: 3_600,
      idempotency: { strict: false, retentionHours: 72 },
      wording: 12,
    });
  });

  test('replaces only the default wording that the product overrides', async () => {
    const own = { status: 403, code: null, message: 'No.' };
    const { wording } = (await loadProducts([await aFile({ ...acme, wording: { FORBIDDEN: own } })])).primary;
    const bare = (await loadProducts([await aFile(acme)])).primary.wording;
    expect(wording).toEqual({ ...bare, FORBIDDEN: own });
  });
});

describe('the list of products', () => {
  test('with a misspelled preset is refused with the nearest name', async () => {
    await expect(loadProducts(['maskoo'])).rejects.toThrow(
      new StartError(
        'There is no preset called "maskoo". Did you mean masko? The presets are default, makistry, makra, masko, makepay, craftkit. To use a product file, give its path, which ends in .json, .yaml, .yml.',
      ),
    );
  });

  test.each(['', 'something else entirely', 'constructor', 'x'.repeat(10_000)])(
    'with an unknown preset is refused with the names of all presets (%#)',
    async (name) => {
      await expect(loadProducts([name])).rejects.toThrow(
        new StartError(
          `There is no preset called ${JSON.stringify(name)}. The presets are default, makistry, makra, masko, makepay, craftkit. To use a product file, give its path, which ends in .json, .yaml, .yml.`,
        ),
      );
    },
  );

  test('with a file of another extension is refused', async () => {
    expect(await refusal('./acme.toml')).toBe(
      'The product file FILE1 must end in .json, .yaml, .yml. The presets are default, makistry, makra, masko, makepay, craftkit.',
    );
  });

  test('must contain 1 to 100 products', async () => {
    expect(await refusal()).toBe(
      'The list of products is empty. Add a preset (default, makistry, makra, masko, makepay, craftkit) or the path of a product file.',
    );
    await expect(loadProducts(Array.from({ length: 101 }, () => 'default'))).rejects.toThrow(
      new StartError('The list has 101 products, and the maximum is 100. Run several servers.'),
    );
    expect(() => combineProducts([])).toThrow('A server needs at least one product.');
  });
});

describe('a product file', () => {
  test('that does not exist is refused with its path', async () => {
    expect(await refusal(join(folder, 'none.yaml'))).toBe(
      "The product file FILE1 does not exist. Relative paths start at the server's working directory.",
    );
  });

  test('that is a folder is refused', async () => {
    const path = join(folder, 'folder.yaml');
    await mkdir(path);
    expect(await refusal(path)).toBe('The product file FILE1 is not a file. Use a .yaml, .yml or .json file.');
  });

  test('of more than 256 KB is refused, and one of 256 KB is read', async () => {
    const limit = 256 * 1024;
    const text = `${stringify(acme)}# `;
    expect(await refusal(await aFile(text.padEnd(limit + 1, 'x')))).toBe(
      'The product file FILE1 has 257 KB, and the maximum is 256 KB. Use one file per product.',
    );
    expect((await loadProducts([await aFile(text.padEnd(limit, 'x'))])).primary.slug).toBe('acme');
  });

  test('that is not UTF-8 is refused', async () => {
    expect(await refusal(await aFile(new Uint8Array([0x73, 0xff, 0xfe])))).toBe(
      'The product file FILE1 is not valid UTF-8. Save it as UTF-8.',
    );
  });

  test('that is empty is refused', async () => {
    const message = `The product file FILE1, line 1: the file must be a mapping of fields, not empty. ${seeGuide}`;
    expect(await refusal(await aFile(''))).toBe(message);
    expect(await refusal(await aFile('# nothing yet\n'))).toBe(message);
  });

  test.each([
    ['an open bracket', 'slug: acme\nissuers: [1', 'line 2, column 12: Flow sequence in block collection'],
    ['a tab', 'slug: acme\nissuers:\n\tby: operator\n', 'line 3, column 1: Tabs are not allowed as indentation'],
    ['a duplicate field', 'slug: acme\ntitle: A\nslug: acme\n', 'line 3, column 1: Map keys must be unique'],
    ['two documents', 'slug: acme\n---\nslug: acme\n', 'line 2, column 1: Source contains multiple documents'],
    ['a custom tag', 'slug: !secret acme\n', 'line 1, column 7: Unresolved tag: !secret'],
    ['an undefined alias', 'slug: *acme\n', ''],
    ['100,000 open brackets', '['.repeat(100_000), ''],
  ])('with %s is refused with the position of the error', async (_what, text, where) => {
    expect(await refusal(await aFile(text))).toContain(
      `The product file FILE1 cannot be read as YAML or JSON: ${where}`,
    );
  });

  test('with exponentially nested aliases is refused', async () => {
    const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`);
    expect(await refusal(await aFile(['a0: &a0 [x]', ...levels].join('\n')))).toBe(
      'The product file FILE1 cannot be read as YAML or JSON: Excessive alias count indicates a resource exhaustion attack',
    );
  });

  test.each([
    ['a trailing comma', '{\n  "slug": "acme",\n}', 'line 3, column 1: Expected double-quoted property name'],
    ['a trailing comma in a list', '{\n "issuers": [\n  1,\n ]\n}', "line 4, column 2: Unexpected token ']'"],
    ['an unquoted word', '{\n "signingSecrets": tru\n}', "line 2, column 23: Unexpected token '\n'"],
    ['YAML content', 'slug: acme\n', "line 1, column 1: Unexpected token 's'"],
  ])('named .json with %s is refused with the position of the error', async (_what, text, where) => {
    expect(await refusal(await aFile(text, 'json'))).toBe(
      `The product file FILE1 is not valid JSON: ${where}. Correct it, or save it as .yaml.`,
    );
  });
});

test('any content of a product file either loads or fails with a StartError', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .dictionary(fc.constantFrom(...Object.keys(acme), '__proto__', 'wording', 'prices'), fc.jsonValue())
      .map(stringify),
    fc
      .record({ key: fc.constantFrom(...Object.keys(acme)), value: fc.anything() })
      .map(({ key, value }) =>
        JSON.stringify({ ...acme, [key]: value }, (_key, part) => (typeof part === 'bigint' ? String(part) : part)),
      ),
  );
  await fc.assert(
    fc.asyncProperty(text, fc.constantFrom('yaml', 'json'), async (content, extension) => {
      const error: unknown = await loadProducts([await aFile(content, extension)]).then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error === null || error instanceof StartError).toBe(true);
    }),
    { numRuns: 300 },
  );
});

describe('a field of a product file', () => {
  const { LIVE } = acme.credential.secrets;
  const format = (changes: object) => ({
    credential: { transport: 'bearer', secrets: { LIVE: { ...LIVE, ...changes } } },
  });
  const pair = (changes: object) => ({
    credential: {
      transport: 'headerPair',
      keyIdHeader: 'x-id',
      secretHeader: 'x-secret',
      keyId: LIVE,
      secrets: { LIVE },
      ...changes,
    },
  });

  test.each<[string, object, string]>([
    ['that is unknown', { slugg: 'x' }, 'slugg is not a field here: did you mean slug?'],
    ['that resembles no known field', { pineapple: 'x' }, 'pineapple is not a field of a product file.'],
    [
      'that is unknown at a deeper level',
      format({ lenght: 3 }),
      'credential.secrets.LIVE.lenght is not a field here: did you mean length?',
    ],
    ['with a number instead of text', { title: 5 }, 'title must be text, not a number (put it in quotes).'],
    ['with text instead of a number', { freeCredits: 'many' }, 'freeCredits must be a number, not text.'],
    ['with a fraction', { holdSeconds: 1.5 }, 'holdSeconds must be a whole number, not a number with a fraction.'],
    ['with text instead of a boolean', { signingSecrets: 'yes' }, 'signingSecrets must be true or false, not text.'],
    ['with a mapping instead of a list', { rateLimits: {} }, 'rateLimits must be a list, not a mapping.'],
    ['with a list instead of a mapping', { prices: [] }, 'prices must be a mapping of names, not a list.'],
    ['that is empty', { issuers: null }, 'issuers must be a mapping of fields, not empty.'],
    ['that is too small', format({ length: 23 }), 'credential.secrets.LIVE.length must be at least 24.'],
    ['that is too large', { freeCredits: 2_000_000_000 }, 'freeCredits must be at most 1000000000.'],
    ['that is not finite', { freeCredits: Number.POSITIVE_INFINITY }, 'freeCredits must be a number, not Infinity.'],
    ['that is too long', { title: 'x'.repeat(101) }, 'title must have at most 100 characters.'],
    [
      'that has too many entries',
      { rateLimits: [1, 2, 3, 4, 5].map((n) => ({ limit: n, windowSeconds: n })) },
      'rateLimits must have at most 4 entries.',
    ],
    [
      'with an invalid value in a list',
      { rateLimits: [{ limit: 0, windowSeconds: 1 }] },
      'rateLimits[0].limit must be at least 1.',
    ],
    [
      'with an unknown enum value',
      format({ alphabet: 'base64' }),
      'credential.secrets.LIVE.alphabet must be hex or base62.',
    ],
    [
      'with an unknown discriminator',
      { issuers: { by: 'anyone' } },
      'issuers.by must be role, permission or operator.',
    ],
    [
      'with a name in the wrong form',
      { permissions: { read: { description: 'x' } } },
      'permissions.read is not a valid name: it must have the form resource:action.',
    ],
    [
      'with a control character in a name',
      { prices: { 'A\nb': {} } },
      'prices."A\\nb" is not a valid name: it must be 1 to 40 of a-z, 0-9, _ and -, beginning with a letter.',
    ],
    [
      'that refers to an unknown feature',
      { permissions: { 'a:b': { description: 'x', feature: 'constructor' } } },
      'permissions.a:b.feature is not a feature of this product: constructor.',
    ],
    [
      'with two limits for one window',
      { rateLimits: [1, 2].map((limit) => ({ limit, windowSeconds: 60 })) },
      'rateLimits must not have two limits with the same windowSeconds.',
    ],
    [
      'that permits rotation of missing signing secrets',
      { keyPermissions: ['signingSecret:rotate'] },
      'keyPermissions must not include signingSecret:rotate unless signingSecrets is true.',
    ],
    [
      'with the prefix of service tokens',
      format({ prefix: 'tks_a' }),
      "credential.secrets.LIVE.prefix must not begin with tks_, the prefix of this server's service tokens.",
    ],
    [
      'with the format of session tokens',
      format({ prefix: '' }),
      'credential.secrets.LIVE.prefix must contain _ or -, or length must change: 32 letters and digits are the format of session tokens.',
    ],
    [
      'with a prefix that needs quoting',
      format({ prefix: 'a.b' }),
      'credential.secrets.LIVE.prefix must consist of letters, digits, _ and -, or be empty.',
    ],
    [
      'with indistinguishable TEST and LIVE keys',
      { credential: { transport: 'bearer', secrets: { LIVE, TEST: { ...LIVE, alphabet: 'base62' } } } },
      'credential.secrets.TEST.prefix must differ from the prefix of LIVE, because a key could match both formats.',
    ],
    [
      'with the same header for id and secret',
      pair({ secretHeader: 'x-id' }),
      'credential.secretHeader must differ from keyIdHeader.',
    ],
    [
      'with a reserved header',
      pair({ keyIdHeader: 'authorization' }),
      'credential.keyIdHeader must not be a reserved header: authorization, cookie, host, origin, content-type, content-length.',
    ],
  ])('%s is refused with its path and the expected value', async (_what, changes, expected) => {
    const message = await refusal(await aFile({ ...acme, ...changes }));
    expect(message.replace(/line \d+/, 'line N')).toBe(`The product file FILE1, line N: ${expected} ${seeGuide}`);
  });

  test('that is missing is refused with the line of its parent', async () => {
    const { slug: _slug, ...rest } = acme;
    expect(await refusal(await aFile(rest))).toBe(
      `The product file FILE1, line 1: slug is missing: it must be text. ${seeGuide}`,
    );
    const text =
      'slug: acme\ntitle: Acme\ndescription: Maps.\ncredential:\n  transport: bearer\nissuers: { by: operator }\n';
    expect(await refusal(await aFile(text))).toBe(
      `The product file FILE1, line 4: credential.secrets is missing: it must be a mapping of fields. ${seeGuide}`,
    );
  });

  test('is refused with its line, and the first error of the file is reported first', async () => {
    const text = `# my product\n${stringify(acme)}rateLimits:\n  - limit: 1\n    windowSeconds: 60\n  - limit: 0\n    windowSeconds: 3600\nextra: 1\n`;
    const line = text.split('\n').indexOf('  - limit: 0') + 1;
    expect(await refusal(await aFile(text))).toBe(
      `The product file FILE1, line ${line}: rateLimits[1].limit must be at least 1. (And 1 more.) ${seeGuide}`,
    );
    const json = JSON.stringify({ ...acme, extra: 1 }, null, 2);
    expect(await refusal(await aFile(json, 'json'))).toBe(
      `The product file FILE1, line ${json.split('\n').length - 1}: extra is not a field of a product file. ${seeGuide}`,
    );
  });
});

describe('two products of one server', () => {
  const bearer = (slug: string, secret: object, test?: object) => ({
    ...acme,
    slug,
    credential: { transport: 'bearer', secrets: { LIVE: secret, ...(test && { TEST: test }) } },
  });
  const pair = (slug: string, prefix: string, header = 'x-id') => ({
    ...acme,
    slug,
    credential: {
      transport: 'headerPair',
      keyIdHeader: header,
      secretHeader: 'x-secret',
      keyId: { prefix, alphabet: 'base62', length: 24 },
      secrets: { LIVE: { prefix: 's_', alphabet: 'base62', length: 43 } },
    },
  });

  test('with the same slug are refused', async () => {
    expect(await refusal(await aFile(acme), await aFile(acme))).toBe(
      'The product file FILE1 and the product file FILE2 have the same slug, acme. Change one of them.',
    );
    expect(await refusal(await aFile({ ...acme, slug: 'masko' }), 'masko')).toContain(
      'have the same slug, FILE2. Change one of them.',
    );
    await expect(loadProducts(['masko', 'default', 'masko'])).rejects.toThrow(
      new StartError('The preset masko is listed twice. Remove one.'),
    );
  });

  test.each<[string, object, object]>([
    ['the same format', { prefix: 'k_', alphabet: 'hex', length: 32 }, { prefix: 'k_', alphabet: 'hex', length: 32 }],
    [
      'an alphabet that contains the other',
      { prefix: 'k_', alphabet: 'hex', length: 32 },
      { prefix: 'k_', alphabet: 'base62', length: 32 },
    ],
    [
      'a checksum in place of random characters',
      { prefix: 'k_', alphabet: 'base62', length: 30, checksum: 'crc32-base62' },
      { prefix: 'k_', alphabet: 'base62', length: 36 },
    ],
    [
      'a prefix in place of random characters',
      { prefix: '', alphabet: 'base62', length: 43 },
      { prefix: 'abc', alphabet: 'hex', length: 40 },
    ],
  ])('with %s are refused as ambiguous', async (_what, one, other) => {
    expect(await refusal(await aFile(bearer('one', one)), await aFile(bearer('other', other)))).toBe(
      'The product file FILE1 and the product file FILE2 have ambiguous credentials: a key of credential.secrets.LIVE could belong to both. Change one of the prefixes.',
    );
  });

  test('are compared for ambiguity in all environments', async () => {
    const [a, b, c] = ['a_', 'b_', 'c_'].map((prefix) => ({ prefix, alphabet: 'hex', length: 32 }));
    expect(await refusal(await aFile(bearer('one', a ?? {}, b)), await aFile(bearer('other', c ?? {}, b)))).toContain(
      'a key of credential.secrets.TEST could belong to both',
    );
  });

  test.each<[string, object, object]>([
    ['prefix', { prefix: 'k_', alphabet: 'hex', length: 32 }, { prefix: 'l_', alphabet: 'hex', length: 32 }],
    ['length', { prefix: 'k_', alphabet: 'hex', length: 32 }, { prefix: 'k_', alphabet: 'hex', length: 33 }],
    [
      'alphabet, which lacks a character of the prefix',
      { prefix: '', alphabet: 'base62', length: 43 },
      { prefix: 'ab_', alphabet: 'hex', length: 40 },
    ],
  ])('that differ in their %s are both loaded', async (_what, one, other) => {
    const products = await loadProducts([await aFile(bearer('one', one)), await aFile(bearer('other', other))]);
    expect(products.all.map(({ slug }) => slug)).toEqual(['one', 'other']);
  });

  test('with the same key id format are refused, regardless of their header names', async () => {
    for (const header of ['x-id', 'x-other-id']) {
      expect(await refusal(await aFile(pair('one', 'id_')), await aFile(pair('other', 'id_', header)))).toBe(
        'The product file FILE1 and the product file FILE2 have ambiguous credentials: a key of credential.keyId could belong to both. Change one of the prefixes.',
      );
    }
  });

  test('may share header names, and a header pair does not conflict with a bearer key', async () => {
    const bearerLikePair = bearer('bearer', { prefix: 'id_', alphabet: 'base62', length: 24 });
    const products = await loadProducts([
      await aFile(pair('one', 'id_')),
      await aFile(pair('other', 'od_')),
      await aFile(bearerLikePair),
    ]);
    expect(products.all.map(({ slug }) => slug)).toEqual(['one', 'other', 'bearer']);
  });
});
