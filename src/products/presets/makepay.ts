import type { ProductFile } from '../product.js';

// "Authentication errors" has the exact messages. It has no codes; these are this project's choice.
const invalidCredentials = { status: 401, code: 'invalid_credentials', message: 'Invalid MakePay API credentials' };
const forbidden = { status: 403, code: 'forbidden', message: 'Forbidden' };

/** Follows the vendor document `makepay`, section by section. */
export const makepay = {
  // "API key creation": a key is made for an app; its appSlug is this slug.
  slug: 'makepay',
  title: 'MakePay',
  description: 'Payment links, called from the server of a merchant.',
  // "Credential model" and "Request authentication": two headers. The document has no lengths: the key id has
  // 142 bits, the secret 256.
  credential: {
    transport: 'headerPair',
    keyIdHeader: 'x-makecrypto-key-id',
    secretHeader: 'x-makecrypto-key-secret',
    keyId: { prefix: 'mk_makepay_', alphabet: 'base62', length: 24 },
    secrets: { LIVE: { prefix: 'mksec_', alphabet: 'base62', length: 43 } },
  },
  // "API key creation": signed-in users with settings.manage, whatever their role.
  issuers: { by: 'permission', permission: 'settings:manage' },
  // "Permissions": a key is a trusted credential of its team, on reading and on mutating routes.
  permissions: {
    'payment_link:read': { description: 'Read payment links.' },
    'payment_link:manage': { description: 'Create and change payment links.' },
  },
  // "API key creation", the example: a key is created with its allowed origins.
  allowedOrigins: true,
  wording: {
    // "Authentication errors": no session, and no pair of headers.
    MISSING_CREDENTIAL: { status: 401, code: 'unauthorized', message: 'Unauthorized' },
    // "Authentication errors": key id, secret, product scope or enabled state did not match.
    INVALID_CREDENTIAL: invalidCredentials,
    DISABLED: invalidCredentials,
    // Not in the document: an expired key counts as not enabled.
    EXPIRED: invalidCredentials,
    // "Authentication errors": no access, or no permission. The other three are not in the document.
    FORBIDDEN: forbidden,
    ORIGIN_NOT_ALLOWED: forbidden,
    WORKSPACE_SUSPENDED: forbidden,
    FEATURE_DISABLED: forbidden,
    // "Authentication errors": from the routes that manage keys.
    NOT_FOUND: { status: 404, code: 'not_found', message: 'API key not found' },
  },
} satisfies ProductFile;
