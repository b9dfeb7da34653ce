import type { Logger } from 'pino';
import { StartError, UnavailableError } from '../../errors.js';
import type { Products } from '../../products/product.js';
import { type CostBudgets, createLocalBudgets } from './cost-budgets.js';
import type { RateLimitDecision, RateLimiter, RateLimitPolicy } from './limiter.js';
import { createSharedBudgets } from './redis-budgets.js';
import { RedisUnavailableError } from './redis-link.js';
import { openRedisWindows, type RedisWindows } from './redis-windows.js';
import { createRollingWindows, type RollingWindows } from './rolling-windows.js';

/** An open limiter. The caller that opened it must close it. */
export interface OpenLimiter {
  readonly limiter: RateLimiter;
  readonly budgets: CostBudgets;
  close(): Promise<void>;
}

/** How long the server waits at start for a Redis that a product requires. */
const requiredTimeoutMs = 8_000;
/** How long the server waits at start for a Redis that no product requires. */
const optionalTimeoutMs = 1_000;

/** A limiter for one process, in memory. */
export function createLocalLimiter(windows: RollingWindows = createRollingWindows()): RateLimiter {
  return {
    take: async (key, { rateLimits }, now) => windows.take(key, rateLimits, now),
    peek: async (key, { rateLimits }, now) => windows.peek(key, rateLimits, now),
  };
}

/**
 * A limiter that processes share, with windows of this process as fallback. The local windows count every
 * request that this process accepted, and decide while Redis is unavailable and the policy is `open`. They
 * count fewer requests than there were, so a request that they refuse is over the shared limit, too.
 */
export function createSharedLimiter(
  shared: Pick<RedisWindows, 'take' | 'peek'>,
  windows: RollingWindows = createRollingWindows(),
): RateLimiter {
  return {
    async take(key, { rateLimits, rateLimitFallback }, now) {
      if (rateLimits.length === 0) return windows.take(key, rateLimits, now);
      const decision = await nullIfUnavailable(shared.take(key, rateLimits, now));
      if (decision === null) {
        if (rateLimitFallback === 'open') return windows.take(key, rateLimits, now);
        throw new UnavailableError('The rate limits cannot be checked now. Try again in a moment.');
      }
      if (decision.allowed && rateLimitFallback === 'open') windows.record(key, rateLimits, now);
      return decision;
    },
    async peek(key, { rateLimits, rateLimitFallback }, now) {
      if (rateLimits.length === 0) return windows.peek(key, rateLimits, now);
      const decision = await nullIfUnavailable(shared.peek(key, rateLimits, now));
      return decision === null && rateLimitFallback === 'open' ? windows.peek(key, rateLimits, now) : decision;
    },
  };
}

async function nullIfUnavailable(request: Promise<RateLimitDecision>): Promise<RateLimitDecision | null> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof RedisUnavailableError) return null;
    throw error;
  }
}

/**
 * Opens a limiter that is shared through Redis, or one in memory if there is no `redisUrl`. If Redis is
 * unavailable, the server still starts, unless a product requires Redis.
 * @throws StartError
 */
export async function openLimiter(
  redisUrl: string | null,
  products: Products,
  log: Logger,
  timeoutMs = requiredTimeoutMs,
): Promise<OpenLimiter> {
  if (redisUrl === null) {
    return { limiter: createLocalLimiter(), budgets: createLocalBudgets(), close: async () => undefined };
  }
  const windows = openRedisWindows({ url: redisUrl, log });
  const requiring = products.all.find(requiresRedis);
  const reason = await windows.waitUntilUp(requiring === undefined ? optionalTimeoutMs : timeoutMs);
  if (reason !== null && requiring !== undefined) {
    await windows.close();
    throw new StartError(
      `Redis cannot be reached at ${windows.target} (${reason}), and the product ${requiring.slug} requires it. ` +
        'Check that it runs there and that REDIS_URL has the right host, port and password, ' +
        'or set rateLimitFallback: open in the product file.',
    );
  }
  return { limiter: createSharedLimiter(windows), budgets: createSharedBudgets(windows), close: windows.close };
}

function requiresRedis({ rateLimits, rateLimitFallback }: RateLimitPolicy): boolean {
  return rateLimits.length > 0 && rateLimitFallback === 'closed';
}
