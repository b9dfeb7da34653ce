import type { Logger } from 'pino';
import { StartError, UnavailableError } from '../../errors.js';
import type { Products } from '../../products/product.js';
import type { RateLimitDecision, RateLimiter, RateLimitPolicy } from './limiter.js';
import { RedisAwayError } from './redis-link.js';
import { openRedisWindows, type RedisWindows } from './redis-windows.js';
import { createRollingWindows, type RollingWindows } from './rolling-windows.js';

/** An open limiter. Whoever opened it closes it. */
export interface OpenLimiter {
  readonly limiter: RateLimiter;
  close(): Promise<void>;
}

/** A Redis that starts beside this server gets this long to come up, where a product cannot do without. */
const patienceMsDefault = 8_000;
/** Where all can do without, the server only waits to see whether it is there. */
const briefPatienceMs = 1_000;

/** Limits for one process, in its memory. */
export function createLocalLimiter(windows: RollingWindows = createRollingWindows()): RateLimiter {
  return {
    take: async (key, { rateLimits }, now) => windows.take(key, rateLimits, now),
    peek: async (key, { rateLimits }, now) => windows.peek(key, rateLimits, now),
  };
}

/**
 * Limits that processes share, with those of this process beside them: they hear of every request that it let through, and decide
 * alone while Redis is away and the policy is `open`. They know of fewer requests than there were, so what they refuse is over its limit.
 */
export function createSharedLimiter(
  shared: Pick<RedisWindows, 'take' | 'peek'>,
  windows: RollingWindows = createRollingWindows(),
): RateLimiter {
  return {
    async take(key, { rateLimits, rateLimitFallback }, now) {
      if (rateLimits.length === 0) return windows.take(key, rateLimits, now);
      const decision = await unlessAway(shared.take(key, rateLimits, now));
      if (decision === null) {
        if (rateLimitFallback === 'open') return windows.take(key, rateLimits, now);
        throw new UnavailableError('The rate limits cannot be checked just now. Try again in a moment.');
      }
      if (decision.allowed && rateLimitFallback === 'open') windows.note(key, rateLimits, now);
      return decision;
    },
    async peek(key, { rateLimits, rateLimitFallback }, now) {
      if (rateLimits.length === 0) return windows.peek(key, rateLimits, now);
      const decision = await unlessAway(shared.peek(key, rateLimits, now));
      return decision === null && rateLimitFallback === 'open' ? windows.peek(key, rateLimits, now) : decision;
    },
  };
}

async function unlessAway(asking: Promise<RateLimitDecision>): Promise<RateLimitDecision | null> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof RedisAwayError) return null;
    throw error;
  }
}

/**
 * Opens the limiter that the environment asks for: shared through Redis, or in memory where there is none. A Redis that is away does
 * not keep the server from starting, unless a product cannot be served without it.
 * @throws StartError
 */
export async function openLimiter(
  redisUrl: string | null,
  products: Products,
  log: Logger,
  patienceMs = patienceMsDefault,
): Promise<OpenLimiter> {
  if (redisUrl === null) return { limiter: createLocalLimiter(), close: async () => undefined };
  const windows = openRedisWindows({ url: redisUrl, log });
  const dependent = products.all.find(isDependent);
  const reason = await windows.untilUp(dependent === undefined ? briefPatienceMs : patienceMs);
  if (reason !== null && dependent !== undefined) {
    await windows.close();
    throw new StartError(
      `Redis cannot be reached at ${windows.place} (${reason}), and the product ${dependent.slug} is not served without it. ` +
        'Check that it runs there and that REDIS_URL names the right host, port and password, or set rateLimitFallback: open in the product file.',
    );
  }
  return { limiter: createSharedLimiter(windows), close: windows.close };
}

function isDependent({ rateLimits, rateLimitFallback }: RateLimitPolicy): boolean {
  return rateLimits.length > 0 && rateLimitFallback === 'closed';
}
