import type { Actor } from '../domain/access/principal.js';
import type { Deps } from '../domain/deps.js';
import type { Domain } from '../domain/domain.js';
import type { Loaders } from './loaders.js';

/** What every resolver gets: who asks, and what can be done for them. Made anew for each request. */
export interface Context {
  readonly actor: Actor;
  readonly domain: Domain;
  readonly deps: Deps;
  readonly loaders: Loaders;
  /** Whether the operation is known to be within the limits of queries. */
  isWeighed: boolean;
  /** Headers that a resolver wants on the answer, such as Retry-After. */
  readonly responseHeaders: Headers;
}
