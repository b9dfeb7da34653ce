import type { ProductFile } from '../product.js';

// "Errors": unknown and revoked look the same.
const invalidCredentials = { status: 401, code: 'invalid_credentials', message: 'The API key is unknown or revoked.' };

/**
 * Follows the vendor document `craftkit`, section by section. A project of the vendor's is a workspace here.
 */
export const craftkit = {
  slug: 'craftkit',
  title: 'CraftKit',
  description: 'Renders of templates, and embedded sessions for partners.',
  // "Header format": a Bearer token. Its prefix shows the environment. The document has no length: 32 base62
  // characters are 190 bits.
  credential: {
    transport: 'bearer',
    secrets: {
      LIVE: { prefix: 'ck_live_', alphabet: 'base62', length: 32 },
      TEST: { prefix: 'ck_test_', alphabet: 'base62', length: 32 },
    },
  },
  // "Creating a key": in the customer's dashboard. The document does not say which members: those who may
  // change a workspace.
  issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['ADMIN', 'OWNER'] },
  permissions: {
    // "Scope", what keys can do.
    'render:create': { description: 'Render a template of the project.' },
    'render:read': { description: 'Read renders of the project.' },
    'webhook:trigger': { description: 'Trigger inbound webhooks of templates of the project.' },
    // "Troubleshooting": POST /v1/embed/sessions and POST /v1/embed/catalogs need embedding to be on.
    'embed_session:create': { description: 'Create an embed session.', feature: 'embed' },
    'embed_catalog:create': { description: 'Create an embed catalog.', feature: 'embed' },
    // "Scope", what keys cannot do.
    'template:update': { description: 'Change a template. Only the dashboard may.', grantable: false },
    'project:update': { description: 'Change a project. Only the dashboard may.', grantable: false },
    'webhook:update': { description: 'Change how webhooks are set up. Only the dashboard may.', grantable: false },
    'partner_embed_session:create': {
      description: 'Create an embed session for a partner integration. Only the key pair for embedding may.',
      grantable: false,
    },
  },
  // "Troubleshooting": Dashboard, Project, Embed, Overview, Enable embed mode.
  features: { embed: { description: 'Embedding, for partners of the project.', enabledBy: 'CUSTOMER' } },
  // "Header format": production renders are billable. The document has no price, so an operator sets it.
  prices: { render: { credits: 1, unit: 'render', description: 'One render.' } },
  // "Header format": test renders are free and watermarked.
  testKeys: { free: true, watermark: true },
  // "Revoking a key": at once, "no grace window". The same applies to the old secret after a rotation.
  rotation: { overlapSecondsMax: 0 },
  wording: {
    // "Errors".
    MISSING_CREDENTIAL: {
      status: 401,
      code: 'missing_authorization',
      message: 'Add the header Authorization: Bearer <key>.',
    },
    INVALID_CREDENTIAL: invalidCredentials,
    // "Revoking a key": at once, without grace. Disabled and expired keys get the same answer.
    DISABLED: invalidCredentials,
    EXPIRED: invalidCredentials,
    // "Troubleshooting": the answer for a valid key if embedding is off.
    FEATURE_DISABLED: invalidCredentials,
    // "Errors": the partnership of the project is suspended.
    WORKSPACE_SUSPENDED: {
      status: 403,
      code: 'partner_suspended',
      message: 'The embed partnership of the project is suspended. Contact support.',
    },
  },
} satisfies ProductFile;
