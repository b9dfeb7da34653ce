import {
  type BudgetWindow,
  budgetWindowMs,
  type CostBudgets,
  createLocalBudgets,
  describeBudget,
} from './cost-budgets.js';
import { type RedisLink, RedisUnavailableError } from './redis-link.js';

const keyPrefix = 'tollkeeper:budget:';

/**
 * Takes a cost from a window that ends when its key expires.
 *
 * KEYS: the caller. ARGV: cost, limit, length of a window in milliseconds.
 * Result: 1 if the cost was taken or 0, what is used, milliseconds until the window ends.
 */
const script = `
local cost, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local used, left = tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])
if left <= 0 then used, left = 0, tonumber(ARGV[3]) end
local fits = used + cost <= limit
if fits and cost > 0 then
  used = used + cost
  redis.call('SET', KEYS[1], used, 'PX', left)
end
return { fits and 1 or 0, used, used > 0 and left or 0 }
`;

/** Budgets that processes share. While Redis is unavailable, each process counts by itself. */
export function createSharedBudgets(
  link: Pick<RedisLink, 'run'>,
  local: CostBudgets = createLocalBudgets(),
): CostBudgets {
  const decide = async (caller: string, cost: number, limit: number): Promise<BudgetWindow | null> => {
    try {
      const answer = await link.run((redis) => redis.eval(script, 1, keyPrefix + caller, cost, limit, budgetWindowMs));
      const [allowed, used = 0, leftMs = 0] = Array.isArray(answer) ? answer.map(Number) : [];
      return { allowed: allowed === 1, used, leftMs };
    } catch (error) {
      if (error instanceof RedisUnavailableError) return null;
      throw error;
    }
  };
  return {
    async take(caller, cost, limit, now) {
      const window = await decide(caller, cost, limit);
      return window === null ? local.take(caller, cost, limit, now) : describeBudget(window, limit, now);
    },
    async peek(caller, limit, now) {
      const window = await decide(caller, 0, limit);
      return window === null ? local.peek(caller, limit, now) : describeBudget(window, limit, now);
    },
  };
}
