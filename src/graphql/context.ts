import type { ExecutionResult } from 'graphql';
import type { Actor } from '../domain/access/principal.js';
import type { IdempotentRequest } from '../domain/commands/idempotency.js';
import type { CostBudget } from '../domain/rate-limits/cost-budgets.js';
import type { Loaders } from './loaders.js';
import type { Services } from './services.js';

/** The caller's budget of query cost. */
export interface BudgetOfCaller {
  /** Cost of this operation, after {@link take}. */
  readonly cost: number;
  /** @throws RateLimitedError if less than the cost is left */
  take(cost: number): Promise<void>;
  read(): Promise<CostBudget>;
}

/** What resolvers get. A new one is made for each request. */
export interface Context {
  readonly actor: Actor;
  /** The request's idempotency key; null without one. */
  readonly idempotency: IdempotentRequest | null;
  readonly services: Services;
  readonly loaders: Loaders;
  /** Whether the operation is known to be within the limits of queries. */
  isWithinLimits: boolean;
  /** Cost of what the operation asks about the schema. */
  introspectionCost: number;
  /**
   * Executes a query. It ends when the client goes away or the time is up: `services.db` and the loaders then
   * refuse to read. @throws QueryTimeoutError
   */
  executeQuery(execute: () => ExecutionResult | Promise<ExecutionResult>): Promise<ExecutionResult>;
  readonly budget: BudgetOfCaller;
  /** Headers that a resolver adds to the answer, such as Retry-After. */
  readonly responseHeaders: Headers;
}
