import { findAccess } from '../domain/access/access.js';
import { setCreditsLowAt } from '../domain/credits/credit-alert.js';
import { grantCredits } from '../domain/ledger/grant.js';
import { findPersonalWorkspaceId } from '../domain/workspaces/personal.js';
import { ForbiddenError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { Charge } from './charge.js';
import { commandField } from './command-field.js';
import type { Context } from './context.js';
import { LedgerEntryKind } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity, resolveNestedPage } from './pages.js';
import { Price, pricesOf } from './product.js';
import { Workspace } from './workspace.js';

export const LedgerEntry = builder.prismaObject('LedgerEntry', {
  interfaces: [Node],
  description: 'An entry of the ledger. Entries are never changed or removed.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    kind: t.expose('kind', { type: LedgerEntryKind, description: 'Reason of the movement.' }),
    credits: t.exposeInt('credits', {
      description: 'Change of the balance, in credits. Negative: credits were taken.',
    }),
    heldCredits: t.exposeInt('heldCredits', {
      description: 'Change of the held credits. Negative: credits were released.',
    }),
    balanceAfter: t.exposeInt('balanceAfter', { description: 'Balance after this entry, in credits.' }),
    heldAfter: t.exposeInt('heldAfter', { description: 'Held credits after this entry.' }),
    product: t.exposeString('product', {
      nullable: true,
      description: 'Slug of the product. Null: the entry is for no product.',
    }),
    action: t.exposeString('action', {
      nullable: true,
      description: 'Action that was charged. Null: the entry is for no action.',
    }),
    reason: t.exposeString('reason', {
      nullable: true,
      description: 'Reason that was given for the entry. Null: none.',
    }),
    apiKeyId: t.exposeID('apiKeyId', {
      nullable: true,
      description: 'Id of the API key that was used. The key may have been deleted since. Null: none was used.',
    }),
    charge: t.field({
      type: Charge,
      nullable: true,
      description: 'The charge of this entry. Null: it belongs to none.',
      resolve: ({ chargeId }, _args, { loaders }) => (chargeId === null ? null : loaders.chargesById.load(chargeId)),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of the entry.' }),
  }),
});

export const Credits = builder.objectRef<{ workspaceId: string }>('Credits').implement({
  description: 'The credits of a workspace: one pool for all its API keys.',
  fields: (t) => ({
    balance: t.int({
      description: 'All credits, including held ones. Equals the sum of the ledger; never negative.',
      resolve: async ({ workspaceId }, _args, { loaders }) => (await loaders.accountOf.load(workspaceId)).balance,
    }),
    held: t.int({
      description: 'Credits that are reserved by holds.',
      resolve: async ({ workspaceId }, _args, { loaders }) => (await loaders.accountOf.load(workspaceId)).held,
    }),
    available: t.int({
      description: 'Credits that can be spent: `balance` minus `held`.',
      resolve: async ({ workspaceId }, _args, { loaders }) => {
        const { balance, held } = await loaders.accountOf.load(workspaceId);
        return balance - held;
      },
    }),
    lowAt: t.int({
      nullable: true,
      description: 'Number of available credits at or below which webhook endpoints get `credits.low`. Null: never.',
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
      description: 'Prices of all actions of all products of this server.',
      resolve: (_credits, _args, { services }) => services.products.all.flatMap(pricesOf),
    }),
  }),
});

builder.queryField('credits', (t) =>
  t.field({
    type: Credits,
    nullable: true,
    description: 'Credits of a workspace. Null: they are not visible to the caller.',
    authScopes: { permission: 'credits:read' },
    args: {
      workspaceId: t.arg.id({
        description:
          'Id of the workspace. Default: the workspace of the API key, or the personal workspace of the person.',
      }),
    },
    resolve: async (_root, args, context) => {
      const workspaceId = args.workspaceId ?? (await findOwnWorkspaceId(context));
      if (workspaceId === null) throw new ValidationError('workspaceId', 'Name a workspace.');
      const access = await findAccess(context.services.db, context.actor.principal, workspaceId);
      return access?.permissions.has('credits:read') ? { workspaceId } : null;
    },
  }),
);

builder.prismaObjectField(Workspace, 'credits', (t) =>
  t.field({
    type: Credits,
    authScopes: { permission: 'credits:read' },
    description: 'Credits of the workspace.',
    resolve: ({ id }) => ({ workspaceId: id }),
  }),
);

async function findOwnWorkspaceId({ services, actor: { principal } }: Context): Promise<string | null> {
  if (principal.kind === 'apiKey') return principal.workspaceId;
  return principal.kind === 'user' ? findPersonalWorkspaceId(services.db, principal.userId) : null;
}

const GrantCreditsInput = builder.inputType('GrantCreditsInput', {
  description: 'Credits to add.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: 'Id of the workspace that gets the credits.' }),
    credits: t.int({ required: true, description: 'Number of credits, at least 1.' }),
    reason: t.string({ description: 'Reason for the ledger, at most 500 characters.' }),
    expiresAt: t.field({
      type: 'DateTime',
      description:
        'Time at which unspent credits of this grant are taken back. Grants that expire first are spent first. Default: never.',
    }),
    priority: t.int({
      defaultValue: 0,
      description:
        'Order of spending, from -1000 to 1000. Grants with a lower number are spent first, before the time of expiry decides.',
    }),
    idempotencyKey: t.string({
      description:
        'Key that the caller chooses, such as the id of a payment. The same key in the same workspace grants only once.',
    }),
  }),
});

const GrantCreditsPayload = builder
  .objectRef<{ entry: typeof LedgerEntry.$inferType; workspaceId: string; replayed: boolean }>('GrantCreditsPayload')
  .implement({
    description: 'The grant.',
    fields: (t) => ({
      entry: t.field({ type: LedgerEntry, description: 'The entry in the ledger.', resolve: (p) => p.entry }),
      credits: t.field({
        type: Credits,
        description: 'Credits of the workspace after the grant.',
        resolve: ({ workspaceId }) => ({ workspaceId }),
      }),
      replayed: t.exposeBoolean('replayed', {
        description: 'Whether this is the result of an earlier grant with the same idempotency key.',
      }),
    }),
  });

commandField(grantCredits, {
  description: 'Adds credits to a workspace. For services.',
  input: GrantCreditsInput,
  inputDescription: 'The credits to add.',
  payload: GrantCreditsPayload,
  errors: [ValidationError, NotFoundError, ForbiddenError],
});

const SetCreditsLowAtInput = builder.inputType('SetCreditsLowAtInput', {
  description: 'When to report that credits are low.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: 'Id of the workspace.' }),
    credits: t.int({
      description:
        'Number of available credits at or below which webhook endpoints get `credits.low`, at least 0. Null: never.',
    }),
  }),
});

const SetCreditsLowAtPayload = builder.objectRef<{ workspaceId: string }>('SetCreditsLowAtPayload').implement({
  description: 'The credits with the changed threshold.',
  fields: (t) => ({
    credits: t.field({
      type: Credits,
      description: 'Credits of the workspace.',
      resolve: ({ workspaceId }) => ({ workspaceId }),
    }),
  }),
});

commandField(setCreditsLowAt, {
  description: 'Sets the number of available credits at or below which webhook endpoints get `credits.low`.',
  input: SetCreditsLowAtInput,
  inputDescription: 'The workspace and the threshold.',
  payload: SetCreditsLowAtPayload,
  errors: [ValidationError, NotFoundError, ForbiddenError],
});
