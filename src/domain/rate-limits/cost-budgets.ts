import { LRUCache } from 'lru-cache';

/** What a caller may spend on queries in one window. */
export interface CostBudget {
  /** Cost per window. */
  readonly limit: number;
  /** What is left of it. */
  readonly remaining: number;
  /**
   * End of the window, from which the whole budget is there again. For an unused budget: the time of the
   * request.
   */
  readonly resetAt: Date;
}

export interface CostDecision extends CostBudget {
  /** Whether the cost was taken. A refused operation takes nothing. */
  readonly allowed: boolean;
}

/** Budgets of query cost, one per caller. A window begins with the first operation after the last window. */
export interface CostBudgets {
  /** Takes the cost of an operation, if so much is left. */
  take(caller: string, cost: number, limit: number, now: Date): Promise<CostDecision>;
  /** The budget, unchanged. */
  peek(caller: string, limit: number, now: Date): Promise<CostBudget>;
}

export const budgetWindowMs = 60_000;

/** Maximum number of callers in memory. The least recently used one is evicted first. */
const callersMax = 100_000;

/** Budgets of one process, in memory. */
export function createLocalBudgets(): CostBudgets {
  const windows = new LRUCache<string, { used: number; endsAtMs: number }>({ max: callersMax });

  async function take(caller: string, cost: number, limit: number, now: Date): Promise<CostDecision> {
    const nowMs = now.getTime();
    const known = windows.get(caller);
    // The window is shorter than a minute from now, unless the clock went back.
    const isOpen = known !== undefined && known.endsAtMs > nowMs && known.endsAtMs <= nowMs + budgetWindowMs;
    const window = isOpen ? known : { used: 0, endsAtMs: nowMs + budgetWindowMs };
    const allowed = window.used + cost <= limit;
    if (allowed && cost > 0) {
      window.used += cost;
      windows.set(caller, window);
    }
    return describeBudget(
      { allowed, used: window.used, leftMs: window.used > 0 ? window.endsAtMs - nowMs : 0 },
      limit,
      now,
    );
  }

  return { take, peek: (caller, limit, now) => take(caller, 0, limit, now) };
}

/** The state of a window after a decision. */
export interface BudgetWindow {
  readonly allowed: boolean;
  readonly used: number;
  readonly leftMs: number;
}

export function describeBudget({ allowed, used, leftMs }: BudgetWindow, limit: number, now: Date): CostDecision {
  return { allowed, limit, remaining: Math.max(0, limit - used), resetAt: new Date(now.getTime() + leftMs) };
}
