import type { ProductFile } from '../product.js';

// "Error Responses": one code, whether the header is missing, its form is wrong or the key is revoked.
const invalidApiKey = {
  status: 401,
  code: 'invalid_api_key',
  message: 'The API key is missing, malformed or revoked.',
};

/** Follows the vendor document `makistry`, section by section. */
export const makistry = {
  slug: 'makistry',
  title: 'Makistry',
  description: 'Text to CAD: a prompt becomes a job, a job becomes a model.',
  // "API Keys": a Bearer token, mk_pub_ and 32 hex characters.
  credential: {
    transport: 'bearer',
    secrets: { LIVE: { prefix: 'mk_pub_', alphabet: 'hex', length: 32 } },
  },
  // "Creating a Key": in the customer's dashboard. The document does not say which members: those who may
  // change a workspace.
  issuers: { by: 'role', PERSONAL: ['OWNER'], ORGANIZATION: ['ADMIN', 'OWNER'] },
  permissions: {
    // "Idempotency": POST /text-to-cad makes a job.
    'job:create': { description: 'Start a job.' },
    // "Making an Authenticated Request": GET /v1/jobs.
    'job:read': { description: 'Read jobs and their results.' },
    // "Error Responses", 403: a public key never reaches an internal route.
    'internal:call': { description: 'Call an internal route. No public key may.', grantable: false },
  },
  // "Idempotency" mentions charges. The document has no price, so an operator sets it.
  prices: { text_to_cad: { credits: 1, unit: 'job', description: 'One job from text to CAD.' } },
  // "Creating a Key", free_credits_remaining: the first key grants credits. The document has no number, so an
  // operator sets it.
  freeCredits: 50,
  // "Creating a Key" and "Rotating the Signing Secret".
  signingSecrets: true,
  // "Rotating the Signing Secret": the route is called with the key itself.
  keyPermissions: ['workspace:read', 'apiKey:read', 'credits:read', 'signingSecret:rotate'],
  wording: {
    MISSING_CREDENTIAL: invalidApiKey,
    INVALID_CREDENTIAL: invalidApiKey,
    // Not in the document: the same answer as for a revoked key.
    DISABLED: invalidApiKey,
    EXPIRED: invalidApiKey,
    // "Error Responses": 403, and no error code.
    FORBIDDEN: { status: 403, code: null, message: 'A public API key may not call this route.' },
  },
} satisfies ProductFile;
