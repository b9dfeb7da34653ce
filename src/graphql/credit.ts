import { findAccess } from '../domain/access/access.js';
import { findPersonalWorkspaceId } from '../domain/workspaces/personal.js';
import { ForbiddenError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { Charge } from './charge.js';
import type { Context } from './context.js';
import { LedgerEntryKind } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity, resolveNestedPage } from './pages.js';
import { Price, pricesOf } from './product.js';
import { Workspace } from './workspace.js';

export const LedgerEntry = builder.prismaObject('LedgerEntry', {
  interfaces: [Node],
  description: 'A line of the ledger. It is never changed and never removed.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this line.' }),
    kind: t.expose('kind', { type: LedgerEntryKind, description: 'Why credits moved.' }),
    credits: t.exposeInt('credits', { description: 'What it added to the balance; negative for what it took.' }),
    heldCredits: t.exposeInt('heldCredits', {
      description: 'What it added to what is held; negative for what it gave back.',
    }),
    balanceAfter: t.exposeInt('balanceAfter', { description: 'The balance afterwards.' }),
    heldAfter: t.exposeInt('heldAfter', { description: 'What was held afterwards.' }),
    product: t.exposeString('product', { nullable: true, description: 'For which product, where it was for one.' }),
    action: t.exposeString('action', { nullable: true, description: 'For which action, where it was for one.' }),
    reason: t.exposeString('reason', { nullable: true, description: 'A note by whoever made it.' }),
    apiKeyId: t.exposeID('apiKeyId', { nullable: true, description: 'By which key. The key may be gone since.' }),
    charge: t.field({
      type: Charge,
      nullable: true,
      description: 'The charge that it belongs to.',
      resolve: ({ chargeId }, _args, { loaders }) => (chargeId === null ? null : loaders.chargesById.load(chargeId)),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When.' }),
  }),
});

export const Credits = builder.objectRef<{ workspaceId: string }>('Credits').implement({
  description: 'The credits of a workspace: one pool for all its keys.',
  fields: (t) => ({
    balance: t.int({
      description: 'All credits, those held included. Always the sum of the ledger, never negative.',
      resolve: async ({ workspaceId }, _args, { loaders }) => (await loaders.accountOf.load(workspaceId)).balance,
    }),
    held: t.int({
      description: 'Credits that are reserved by holds.',
      resolve: async ({ workspaceId }, _args, { loaders }) => (await loaders.accountOf.load(workspaceId)).held,
    }),
    available: t.int({
      description: 'What can be spent: balance less held.',
      resolve: async ({ workspaceId }, _args, { loaders }) => {
        const { balance, held } = await loaders.accountOf.load(workspaceId);
        return balance - held;
      },
    }),
    lowAt: t.int({
      nullable: true,
      description: 'At how many available credits `credits.low` is told to webhook endpoints; null: never.',
      resolve: async ({ workspaceId }, _args, { loaders }) => (await loaders.accountOf.load(workspaceId)).lowAt,
    }),
    entries: t.connection({
      type: LedgerEntry,
      complexity: pageComplexity,
      description: 'The ledger, newest first.',
      resolve: ({ workspaceId }, args, { loaders }) => resolveNestedPage(loaders.entriesOf, workspaceId, args),
    }),
    prices: t.field({
      type: [Price],
      description: 'What actions cost, for every product of this server.',
      resolve: (_credits, _args, { deps }) => deps.products.all.flatMap(pricesOf),
    }),
  }),
});

builder.queryField('credits', (t) =>
  t.field({
    type: Credits,
    nullable: true,
    description:
      "Credits. Without an id: of the key's workspace, or of the person's own. null where they may not be seen.",
    authScopes: { permission: 'credits:read' },
    args: { workspaceId: t.arg.id({ description: 'The workspace.' }) },
    resolve: async (_root, args, context) => {
      const workspaceId = args.workspaceId ?? (await findOwnWorkspaceId(context));
      if (workspaceId === null) throw new ValidationError('workspaceId', 'Name a workspace.');
      const access = await findAccess(context.deps.db, context.actor.principal, workspaceId);
      return access?.permissions.has('credits:read') ? { workspaceId } : null;
    },
  }),
);

builder.prismaObjectField(Workspace, 'credits', (t) =>
  t.field({
    type: Credits,
    authScopes: { permission: 'credits:read' },
    description: 'Its credits.',
    resolve: ({ id }) => ({ workspaceId: id }),
  }),
);

async function findOwnWorkspaceId({ deps, actor: { principal } }: Context): Promise<string | null> {
  if (principal.kind === 'apiKey') return principal.workspaceId;
  return principal.kind === 'user' ? findPersonalWorkspaceId(deps, principal.userId) : null;
}

const GrantCreditsInput = builder.inputType('GrantCreditsInput', {
  description: 'Credits to add.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: 'Whose they are to be.' }),
    credits: t.int({ required: true, description: 'How many: at least 1.' }),
    reason: t.string({ description: 'Why, for the ledger: at most 500 characters.' }),
    expiresAt: t.field({
      type: 'DateTime',
      description:
        'When what is not spent of them is taken back. Without it: never. What runs out first is spent first.',
    }),
    priority: t.int({
      defaultValue: 0,
      description: 'Lower is spent first, whatever runs out when: from -1000 to 1000.',
    }),
    idempotencyKey: t.string({
      description: 'Chosen by you, such as the id of a payment: the same key in the same workspace adds once.',
    }),
  }),
});

const GrantCreditsPayload = builder
  .objectRef<{ entry: typeof LedgerEntry.$inferType; workspaceId: string; replayed: boolean }>('GrantCreditsPayload')
  .implement({
    description: 'The grant.',
    fields: (t) => ({
      entry: t.field({ type: LedgerEntry, description: 'Its line in the ledger.', resolve: (p) => p.entry }),
      credits: t.field({
        type: Credits,
        description: 'The credits as they are now.',
        resolve: ({ workspaceId }) => ({ workspaceId }),
      }),
      replayed: t.exposeBoolean('replayed', {
        description: 'Whether this repeats an earlier grant with the same idempotency key.',
      }),
    }),
  });

builder.mutationField('grantCredits', (t) =>
  t.field({
    type: GrantCreditsPayload,
    description: 'Adds credits to a workspace. For services.',
    authScopes: { permission: 'credits:grant' },
    args: { input: t.arg({ type: GrantCreditsInput, required: true, description: 'What to add, and where.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.credits.grant(actor, input),
  }),
);

const SetCreditsLowAtInput = builder.inputType('SetCreditsLowAtInput', {
  description: 'When credits are few.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: 'Whose credits.' }),
    credits: t.int({
      description: 'How many available credits are few: at least 0. Without it: `credits.low` is not told.',
    }),
  }),
});

const SetCreditsLowAtPayload = builder.objectRef<{ workspaceId: string }>('SetCreditsLowAtPayload').implement({
  description: 'The credits with their new line.',
  fields: (t) => ({
    credits: t.field({
      type: Credits,
      description: 'The credits.',
      resolve: ({ workspaceId }) => ({ workspaceId }),
    }),
  }),
});

builder.mutationField('setCreditsLowAt', (t) =>
  t.field({
    type: SetCreditsLowAtPayload,
    description: 'Says at how many credits webhook endpoints are told that they become few.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: SetCreditsLowAtInput, required: true, description: 'Whose, and how many.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.credits.setLowAt(actor, input),
  }),
);
