import type { GraphQLResolveInfo, GraphQLSchema } from 'graphql';
import { applyMiddleware } from 'graphql-middleware';
import { getGraphQLRateLimiter, Store } from 'graphql-rate-limit';
import { LRUCache } from 'lru-cache';
import { principalKey } from '../domain/access/principal.js';
import { RateLimitedError } from '../errors.js';
import { findDefinition } from './command-field.js';
import type { Context } from './context.js';

const windowSeconds = 60;
const identitiesMax = 50_000;

/**
 * Limits how often each principal calls each management mutation per minute. The definitions say which
 * mutations are throttled.
 */
export function throttleMutations(schema: GraphQLSchema, mutationsPerMinute: number): GraphQLSchema {
  const limiter = getGraphQLRateLimiter({
    identifyContext: ({ actor }: Context) => principalKey(actor.principal),
    store: new BoundedStore(),
  });
  const throttle = async (
    resolve: (parent: unknown, args: Record<string, unknown>, context: Context, info: GraphQLResolveInfo) => unknown,
    parent: unknown,
    args: Record<string, unknown>,
    context: Context,
    info: GraphQLResolveInfo,
  ) => {
    const call = { parent, args, context, info };
    const refusal = await limiter(call, {
      window: `${windowSeconds}s`,
      max: mutationsPerMinute,
      uncountRejected: true,
    });
    if (refusal !== undefined) {
      context.responseHeaders.set('retry-after', String(windowSeconds));
      throw new RateLimitedError(
        `${info.fieldName} can be called ${mutationsPerMinute} times a minute. Wait and try again.`,
        windowSeconds,
      );
    }
    return resolve(parent, args, context, info);
  };
  const throttled = Object.values(schema.getMutationType()?.getFields() ?? {}).filter(
    (field) => findDefinition(field)?.throttled !== false,
  );
  return applyMiddleware(schema, { Mutation: Object.fromEntries(throttled.map(({ name }) => [name, throttle])) });
}

/**
 * The default store of the library is unbounded. This one evicts the least recently used principals, and
 * each entry after the window.
 */
class BoundedStore extends Store {
  readonly #calls = new LRUCache<string, readonly number[]>({ max: identitiesMax, ttl: windowSeconds * 1000 });

  setForIdentity(identity: { contextIdentity: string; fieldIdentity: string }, timestamps: readonly number[]): void {
    this.#calls.set(`${identity.contextIdentity} ${identity.fieldIdentity}`, timestamps);
  }

  getForIdentity(identity: { contextIdentity: string; fieldIdentity: string }): readonly number[] {
    return this.#calls.get(`${identity.contextIdentity} ${identity.fieldIdentity}`) ?? [];
  }
}
