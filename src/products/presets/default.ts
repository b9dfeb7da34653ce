import type { ProductFile } from '../product.js';

/** The built-in product. It follows no vendor document: every value is this project's choice. */
export const defaultProduct = {
  slug: 'default',
  title: 'Default',
  description: 'An API with live and test keys, rate limits, credits and signed webhooks.',
  credential: {
    transport: 'bearer',
    secrets: {
      // 30 base62 characters are 178 bits. With the checksum, a mistyped key is refused without a query, and
      // secret scanners have no false matches.
      LIVE: { prefix: 'tk_live_', alphabet: 'base62', length: 30, checksum: 'crc32-base62' },
      TEST: { prefix: 'tk_test_', alphabet: 'base62', length: 30, checksum: 'crc32-base62' },
    },
  },
  issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['ADMIN', 'OWNER'] },
  permissions: {
    'data:read': { description: 'Read data.' },
    'data:write': { description: 'Create, change and remove data.' },
    'export:create': { description: 'Export data in bulk.', feature: 'exports' },
    'preview:use': { description: 'Call unreleased routes.', feature: 'preview' },
    'internal:call': { description: 'Call an internal route. No key may.', grantable: false },
  },
  features: {
    exports: { description: 'Bulk exports.', enabledBy: 'CUSTOMER' },
    preview: { description: 'Unreleased routes.', enabledBy: 'OPERATOR' },
  },
  prices: {
    request: { credits: 1, unit: 'request', description: 'One request.' },
    compute: { credits: 0.5, unit: 'second', description: 'Computing time.' },
  },
  freeCredits: 100,
  testKeys: { free: true, watermark: true },
  rateLimits: [
    { limit: 60, windowSeconds: 60 },
    { limit: 1_000, windowSeconds: 3_600 },
  ],
  activeKeysMax: 25,
  signingSecrets: true,
  webhooks: { creditsLowAt: 20 },
  allowedOrigins: true,
  keyPermissions: ['workspace:read', 'apiKey:read', 'credits:read'],
} satisfies ProductFile;
