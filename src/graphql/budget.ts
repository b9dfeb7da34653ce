import type { CostBudget } from '../domain/rate-limits/cost-budgets.js';
import { builder } from './builder.js';

interface OperationBudget extends CostBudget {
  readonly cost: number;
}

const QueryBudget = builder.objectRef<OperationBudget>('QueryBudget').implement({
  description:
    'Budget of query cost of the caller, per minute. What a backend calls for each request of its customers, such as `verifyApiKey`, takes nothing from it.',
  fields: (t) => ({
    cost: t.exposeInt('cost', { description: 'Cost of this operation, 1 to 25,000.' }),
    limit: t.exposeInt('limit', { description: 'Cost that the caller may use per minute.' }),
    remaining: t.exposeInt('remaining', {
      description: 'Cost that is left in the current minute, after this operation.',
    }),
    resetAt: t.expose('resetAt', { type: 'DateTime', description: 'Time when the whole budget is available again.' }),
  }),
});

builder.queryField('budget', (t) =>
  t.field({
    type: QueryBudget,
    nullable: true,
    description: 'Cost of this operation, and the budget of the caller. Anonymous callers share one per address.',
    authScopes: { public: true },
    resolve: async (_root, _args, { budget }) => ({ cost: budget.cost, ...(await budget.read()) }),
  }),
);
