import { expect, test } from 'vitest';
import { loadProducts, presetNames } from '../../src/products/load.js';
import type { Product, RefusalCode } from '../../src/products/product.js';

const { all } = await loadProducts(presetNames);

/** One value of each preset, by slug. */
function row<T>(take: (product: Product) => T): Record<string, T> {
  return Object.fromEntries(all.map((product) => [product.slug, take(product)]));
}

/** Status and code of the rejections of a product. */
function refusals(slug: string, codes: readonly (RefusalCode | 'NOT_FOUND' | 'INTERNAL')[]) {
  const wording = all.find((product) => product.slug === slug)?.wording;
  return Object.fromEntries(codes.map((code) => [code, [wording?.[code].status, wording?.[code].code]]));
}

test('one server can load all presets, each with its own slug', () => {
  expect(all.map((product) => product.slug)).toEqual([...presetNames]);
  expect(presetNames).toEqual(['default', 'makistry', 'makra', 'masko', 'makepay', 'craftkit']);
});

test('each preset has the key format of its vendor document', () => {
  expect(row((product) => product.credential)).toEqual({
    default: {
      transport: 'bearer',
      secrets: {
        LIVE: { prefix: 'tk_live_', alphabet: 'base62', length: 30, checksum: 'crc32-base62' },
        TEST: { prefix: 'tk_test_', alphabet: 'base62', length: 30, checksum: 'crc32-base62' },
      },
    },
    makistry: { transport: 'bearer', secrets: { LIVE: { prefix: 'mk_pub_', alphabet: 'hex', length: 32 } } },
    makra: { transport: 'bearer', secrets: { LIVE: { prefix: '', alphabet: 'base62', length: 43 } } },
    masko: { transport: 'bearer', secrets: { LIVE: { prefix: 'masko_', alphabet: 'hex', length: 64 } } },
    makepay: {
      transport: 'headerPair',
      keyIdHeader: 'x-makecrypto-key-id',
      secretHeader: 'x-makecrypto-key-secret',
      keyId: { prefix: 'mk_makepay_', alphabet: 'base62', length: 24 },
      secrets: { LIVE: { prefix: 'mksec_', alphabet: 'base62', length: 43 } },
    },
    craftkit: {
      transport: 'bearer',
      secrets: {
        LIVE: { prefix: 'ck_live_', alphabet: 'base62', length: 32 },
        TEST: { prefix: 'ck_test_', alphabet: 'base62', length: 32 },
      },
    },
  });
});

test('each preset has the issuers of its vendor document', () => {
  const ownersAndAdmins = { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['ADMIN', 'OWNER'] };
  expect(row((product) => product.issuers)).toEqual({
    default: ownersAndAdmins,
    makistry: ownersAndAdmins,
    makra: { by: 'operator' },
    masko: ownersAndAdmins,
    makepay: { by: 'permission', permission: 'settings:manage' },
    craftkit: ownersAndAdmins,
  });
});

test('each preset has the grantable and the withheld permissions of its vendor document', () => {
  const names = (product: Product, grantable: boolean) =>
    Object.entries(product.permissions)
      .filter(([, permission]) => permission.grantable === grantable)
      .map(([name, { feature }]) => (feature === undefined ? name : `${name} with ${feature}`));
  expect(row((product) => ({ granted: names(product, true), withheld: names(product, false) }))).toEqual({
    default: {
      granted: ['data:read', 'data:write', 'export:create with exports', 'preview:use with preview'],
      withheld: ['internal:call'],
    },
    makistry: { granted: ['job:create', 'job:read'], withheld: ['internal:call'] },
    makra: { granted: [], withheld: [] },
    masko: { granted: [], withheld: [] },
    makepay: { granted: ['payment_link:read', 'payment_link:manage'], withheld: [] },
    craftkit: {
      granted: [
        'render:create',
        'render:read',
        'webhook:trigger',
        'embed_session:create with embed',
        'embed_catalog:create with embed',
      ],
      withheld: ['template:update', 'project:update', 'webhook:update', 'partner_embed_session:create'],
    },
  });
});

test('each preset has the maximum rotation overlap of its vendor document', () => {
  expect(row((product) => product.rotation.overlapSecondsMax)).toEqual({
    default: 604_800,
    makistry: 604_800,
    makra: 0,
    masko: 604_800,
    makepay: 604_800,
    craftkit: 0,
  });
});

test('each preset defines who enables its features', () => {
  expect(
    row((product) => Object.entries(product.features).map(([name, { enabledBy }]) => `${name} by ${enabledBy}`)),
  ).toEqual({
    default: ['exports by CUSTOMER', 'preview by OPERATOR'],
    makistry: [],
    makra: [],
    masko: [],
    makepay: [],
    craftkit: ['embed by CUSTOMER'],
  });
});

test('each preset has the prices and free credits of its vendor document', () => {
  expect(
    row((product) => Object.entries(product.prices).map(([action, p]) => `${action}: ${p.credits} per ${p.unit}`)),
  ).toEqual({
    default: ['request: 1 per request', 'compute: 0.5 per second'],
    makistry: ['text_to_cad: 1 per job'],
    makra: [],
    masko: ['image: 1 per image', 'animation: 5 per second', 'logo: 5 per logo', 'edit: 1 per edit'],
    makepay: [],
    craftkit: ['render: 1 per render'],
  });
  expect(row((product) => product.freeCredits)).toEqual({
    default: 100,
    makistry: 50,
    makra: 0,
    masko: 0,
    makepay: 0,
    craftkit: 0,
  });
});

test('each preset has the rate limits and key limit of its vendor document', () => {
  const both = [
    { limit: 60, windowSeconds: 60 },
    { limit: 1_000, windowSeconds: 3_600 },
  ];
  expect(row(({ rateLimits, activeKeysMax }) => ({ rateLimits, activeKeysMax }))).toEqual({
    default: { rateLimits: both, activeKeysMax: 25 },
    makistry: { rateLimits: [], activeKeysMax: null },
    makra: { rateLimits: [], activeKeysMax: null },
    masko: { rateLimits: both, activeKeysMax: 10 },
    makepay: { rateLimits: [], activeKeysMax: null },
    craftkit: { rateLimits: [], activeKeysMax: null },
  });
});

test('presets with TEST keys make them free and watermarked', () => {
  const withTestKeys = all.filter(({ credential }) => credential.secrets.TEST !== undefined);
  expect(withTestKeys.map(({ slug, testKeys }) => ({ slug, testKeys }))).toEqual([
    { slug: 'default', testKeys: { free: true, watermark: true } },
    { slug: 'craftkit', testKeys: { free: true, watermark: true } },
  ]);
});

test('each preset has the signing secrets, origins and key permissions of its vendor document', () => {
  const read = ['workspace:read', 'apiKey:read', 'credits:read'];
  const rotate = [...read, 'signingSecret:rotate'];
  expect(
    row(({ signingSecrets, allowedOrigins, keyPermissions }) => ({ signingSecrets, allowedOrigins, keyPermissions })),
  ).toEqual({
    default: { signingSecrets: true, allowedOrigins: true, keyPermissions: read },
    makistry: { signingSecrets: true, allowedOrigins: false, keyPermissions: rotate },
    makra: { signingSecrets: false, allowedOrigins: false, keyPermissions: read },
    masko: { signingSecrets: false, allowedOrigins: false, keyPermissions: read },
    makepay: { signingSecrets: false, allowedOrigins: true, keyPermissions: read },
    craftkit: { signingSecrets: false, allowedOrigins: false, keyPermissions: read },
  });
});

test('makistry rejects every invalid key with invalid_api_key, and a forbidden action without a code', () => {
  expect(
    refusals('makistry', ['MISSING_CREDENTIAL', 'INVALID_CREDENTIAL', 'DISABLED', 'EXPIRED', 'FORBIDDEN']),
  ).toEqual({
    MISSING_CREDENTIAL: [401, 'invalid_api_key'],
    INVALID_CREDENTIAL: [401, 'invalid_api_key'],
    DISABLED: [401, 'invalid_api_key'],
    EXPIRED: [401, 'invalid_api_key'],
    FORBIDDEN: [403, null],
  });
});

test('masko uses the HTTP status as the code of a rejection', () => {
  expect(
    refusals('masko', [
      'MISSING_CREDENTIAL',
      'INVALID_CREDENTIAL',
      'INSUFFICIENT_CREDITS',
      'FORBIDDEN',
      'NOT_FOUND',
      'RATE_LIMITED',
      'INTERNAL',
    ]),
  ).toEqual({
    MISSING_CREDENTIAL: [401, '401'],
    INVALID_CREDENTIAL: [401, '401'],
    INSUFFICIENT_CREDITS: [402, '402'],
    FORBIDDEN: [403, '403'],
    NOT_FOUND: [404, '404'],
    RATE_LIMITED: [429, '429'],
    INTERNAL: [500, '500'],
  });
});

test('makepay rejects a missing and a wrong header pair with different codes and messages', () => {
  const wording = all.find((product) => product.slug === 'makepay')?.wording;
  const wrong = { status: 401, code: 'invalid_credentials', message: 'Invalid MakePay API credentials' };
  expect(wording).toMatchObject({
    MISSING_CREDENTIAL: { status: 401, code: 'unauthorized', message: 'Unauthorized' },
    INVALID_CREDENTIAL: wrong,
    DISABLED: wrong,
    EXPIRED: wrong,
    FORBIDDEN: { status: 403, code: 'forbidden', message: 'Forbidden' },
    NOT_FOUND: { status: 404, code: 'not_found', message: 'API key not found' },
  });
});

test('craftkit rejects a missing header and a wrong key with different codes, and a disabled feature like a wrong key', () => {
  expect(
    refusals('craftkit', [
      'MISSING_CREDENTIAL',
      'INVALID_CREDENTIAL',
      'DISABLED',
      'EXPIRED',
      'FEATURE_DISABLED',
      'WORKSPACE_SUSPENDED',
    ]),
  ).toEqual({
    MISSING_CREDENTIAL: [401, 'missing_authorization'],
    INVALID_CREDENTIAL: [401, 'invalid_credentials'],
    DISABLED: [401, 'invalid_credentials'],
    EXPIRED: [401, 'invalid_credentials'],
    FEATURE_DISABLED: [401, 'invalid_credentials'],
    WORKSPACE_SUSPENDED: [403, 'partner_suspended'],
  });
});

test('inherited property names are not prices, permissions or features', () => {
  expect(
    row(({ prices, permissions, features }) => [prices.constructor, permissions.toString, features.valueOf]),
  ).toEqual(row(() => [undefined, undefined, undefined]));
});
