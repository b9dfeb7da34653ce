import type { ProductFile } from '../product.js';

// "Error Codes": the codes are the HTTP statuses.
const unauthenticated = { status: 401, code: '401', message: 'The API key is missing or not valid.' };
const denied = { status: 403, code: '403', message: 'Access denied: you do not own this resource.' };

/** Follows the vendor document `masko`, section by section. */
export const masko = {
  slug: 'masko',
  title: 'Masko',
  description: 'Images, animations and logos of a mascot.',
  // "API Keys": a Bearer token, masko_ and 64 hex characters.
  credential: {
    transport: 'bearer',
    secrets: { LIVE: { prefix: 'masko_', alphabet: 'hex', length: 64 } },
  },
  // "Personal vs Organization Keys": admins and owners create the keys of an organization; any member may use
  // one.
  issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['ADMIN', 'OWNER'] },
  // "Credits".
  prices: {
    image: { credits: 1, unit: 'image', description: 'One image.' },
    animation: { credits: 5, unit: 'second', description: 'One second of animation.' },
    logo: { credits: 5, unit: 'logo', description: 'One logo.' },
    edit: { credits: 1, unit: 'edit', description: 'One edit.' },
  },
  // "Rate Limits": per key, both apply.
  rateLimits: [
    { limit: 60, windowSeconds: 60 },
    { limit: 1_000, windowSeconds: 3_600 },
  ],
  // "Creating API Keys": at most 10 active keys per workspace.
  activeKeysMax: 10,
  // "API Keys", the example: a key reads the balance of its workspace (GET /v1/credits).
  keyPermissions: ['workspace:read', 'apiKey:read', 'credits:read'],
  wording: {
    MISSING_CREDENTIAL: unauthenticated,
    INVALID_CREDENTIAL: unauthenticated,
    DISABLED: unauthenticated,
    EXPIRED: unauthenticated,
    // The document has one 403, for resources that the caller may not access.
    ORIGIN_NOT_ALLOWED: denied,
    FORBIDDEN: denied,
    WORKSPACE_SUSPENDED: denied,
    FEATURE_DISABLED: denied,
    // "Rate Limits" and "Error Codes".
    RATE_LIMITED: {
      status: 429,
      code: '429',
      message: 'Too Many Requests: the rate limit is exceeded. Wait and retry.',
    },
    INSUFFICIENT_CREDITS: {
      status: 402,
      code: '402',
      message: 'Insufficient credits: top up your balance to continue.',
    },
    // The document has no 404. This one follows its style.
    NOT_FOUND: { status: 404, code: '404', message: 'There is no such resource.' },
    INTERNAL: { status: 500, code: '500', message: 'Internal server error: contact support if it persists.' },
  },
} satisfies ProductFile;
