import type { ProductFile } from '../product.js';

/** Follows the vendor document `makra`, section by section. */
export const makra = {
  slug: 'makra',
  title: 'Makra',
  description: 'All of the APIs of Makra, for the accounts that have been let into the beta.',
  // "Configuring the client": a key is opaque. 43 base62 characters are 256 bits.
  credential: {
    transport: 'bearer',
    secrets: { LIVE: { prefix: '', alphabet: 'base62', length: 43 } },
  },
  // "Getting an API key": in beta, customers cannot create keys. "If your key is compromised": the operator
  // also rotates them.
  issuers: { by: 'operator' },
  // "Getting an API key": a key belongs to an account and works for all APIs, so there are no permissions.
  // The document has neither prices nor limits. "If your key is compromised": the old secret counts as
  // revoked from the rotation on.
  rotation: { overlapSecondsMax: 0 },
} satisfies ProductFile;
