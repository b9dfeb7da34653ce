import type { ProductFile } from '../product.js';

/** Follows the vendor document `makra`, section by section. */
export const makra = {
  slug: 'makra',
  title: 'Makra',
  description: 'All of the APIs of Makra, for the accounts that have been let into the beta.',
  // "Configuring the client": a key is opaque, handed to a client as it is. 43 base62 characters are 256 bits.
  credential: {
    transport: 'bearer',
    secrets: { LIVE: { prefix: '', alphabet: 'base62', length: 43 } },
  },
  // "Getting an API key": in beta, keys are not self-serve. "If your key is compromised": the operator rotates it, too.
  issuers: { by: 'operator' },
  // "Getting an API key": a key is tied to an account and opens all APIs, so there are no permissions to choose from,
  // and the document names neither prices nor limits.
  // "If your key is compromised": what is rotated away counts as revoked, from that moment on.
  rotation: { overlapSecondsMax: 0 },
} satisfies ProductFile;
