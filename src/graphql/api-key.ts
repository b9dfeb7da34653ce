import { visibleApiKeys } from '../domain/access/visibility.js';
import type { SpendLimit as SpendLimitShape } from '../domain/keys/spend-limit.js';
import { decideStatus, hasStatus } from '../domain/keys/status.js';
import {
  ConflictError,
  ForbiddenError,
  LimitReachedError,
  NotFoundError,
  SecretUnavailableError,
  ValidationError,
} from '../errors.js';
import type { Prisma } from '../generated/prisma/client.js';
import { builder } from './builder.js';
import { ApiKeyStatus, Environment, SpendPeriod } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity } from './pages.js';
import { resolveNestedPage, resolvePage, toPrismaPage } from './resolve-page.js';
import { User } from './user.js';
import { Workspace } from './workspace.js';

export const ApiKey = builder.prismaObject('ApiKey', {
  interfaces: [Node],
  description: 'A key of a workspace. Its plaintext was shown once, when it was created, and is not stored.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this key. It is no secret.' }),
    name: t.exposeString('name', { description: 'What it is called.' }),
    product: t.exposeString('product', { description: 'What it is a key of: the slug of a product.' }),
    environment: t.expose('environment', { type: Environment, description: 'What it is for.' }),
    status: t.field({
      type: ApiKeyStatus,
      description: 'Where it stands now.',
      resolve: (key, _args, { deps }) => decideStatus(key, deps.clock()),
    }),
    preview: t.string({
      description: 'The last four characters of its secret, to tell keys apart.',
      resolve: async (key, _args, { loaders }) => (await loaders.secretsOf.load(key)).newest[0]?.preview ?? '',
    }),
    keyId: t.exposeString('keyId', {
      nullable: true,
      description: 'The public half of a header pair; null for products with bearer keys.',
    }),
    permissions: t.exposeStringList('permissions', { description: 'What it may do at the product.' }),
    allowedOrigins: t.exposeStringList('allowedOrigins', {
      description: 'The origins from which browsers may use it. Empty: any.',
    }),
    createdBy: t.field({
      type: User,
      nullable: true,
      description: 'Who created it; null where a service did, and for a key that asks: keys see no people.',
      resolve: ({ createdByUserId }, _args, { actor, loaders }) =>
        createdByUserId === null || actor.principal.kind === 'apiKey' ? null : loaders.usersById.load(createdByUserId),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: 'When it ends by itself.' }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When it was last let through, by a verification or by this API, a few seconds late; null for never. `secrets` has it for each.',
      resolve: async (key, _args, { loaders }) => (await loaders.secretsOf.load(key)).lastUsedAt,
    }),
    revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true, description: 'When it was revoked.' }),
    revocationReason: t.exposeString('revocationReason', { nullable: true, description: 'Why it was revoked.' }),
    workspace: t.field({
      type: Workspace,
      description: 'Whose it is.',
      resolve: ({ workspaceId }, _args, { loaders }) => loaders.workspacesById.load(workspaceId),
    }),
  }),
});

const SpendLimit = builder.objectRef<SpendLimitShape>('SpendLimit').implement({
  description: 'The most that a key spends in a period, beside what its workspace can pay.',
  fields: (t) => ({
    credits: t.exposeInt('credits', { description: 'Credits in any one period.' }),
    period: t.expose('period', { type: SpendPeriod, description: 'How long a period is.' }),
  }),
});

builder.prismaObjectField(ApiKey, 'spendLimit', (t) =>
  t.field({
    type: SpendLimit,
    nullable: true,
    description: 'The most that it spends in a period; null without a limit.',
    resolve: ({ spendLimit, spendPeriod }) =>
      spendLimit === null || spendPeriod === null ? null : { credits: spendLimit, period: spendPeriod },
  }),
);

const SpendLimitInput = builder.inputType('SpendLimitInput', {
  description: 'The most that a key is to spend in a period. What it spends counts from when the limit is set.',
  fields: (t) => ({
    credits: t.int({ required: true, description: 'Credits in any one period: at least 1.' }),
    period: t.field({ type: SpendPeriod, required: true, description: 'How long a period is.' }),
  }),
});

const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  description: 'Which keys to list. What is not named does not matter.',
  fields: (t) => ({
    status: t.field({ type: ApiKeyStatus, description: 'Only keys that stand so now.' }),
    product: t.string({ description: 'Only keys of this product.' }),
    environment: t.field({ type: Environment, description: 'Only keys for this.' }),
  }),
});

builder.queryFields((t) => ({
  apiKeys: t.connection({
    type: ApiKey,
    complexity: pageComplexity,
    description: 'The keys that whoever asks may see, newest first.',
    authScopes: { permission: 'apiKey:read' },
    args: {
      workspaceId: t.arg.id({ description: 'Only keys of this workspace.' }),
      filter: t.arg({ type: ApiKeyFilter, description: 'Only such keys.' }),
    },
    resolve: (_root, { workspaceId, filter, ...args }, { deps, actor }) => {
      const asked: Prisma.ApiKeyWhereInput[] = [visibleApiKeys(actor.principal)];
      if (workspaceId != null) asked.push({ workspaceId });
      if (filter?.status != null) asked.push(hasStatus(filter.status, deps.clock()));
      if (filter?.product != null) asked.push({ product: filter.product });
      if (filter?.environment != null) asked.push({ environment: filter.environment });
      return resolvePage(args, (keyset) => {
        const page = toPrismaPage(keyset);
        return deps.db.apiKey.findMany({ ...page, where: { AND: [...asked, page.where] } });
      });
    },
  }),
  apiKey: t.prismaField({
    type: ApiKey,
    nullable: true,
    description: 'One key. null where it does not exist or may not be seen.',
    authScopes: { permission: 'apiKey:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the key.' }) },
    resolve: (query, _root, { id }, { deps, actor }) =>
      deps.db.apiKey.findFirst({ ...query, where: { AND: [{ id }, visibleApiKeys(actor.principal)] } }),
  }),
}));

builder.prismaObjectField(Workspace, 'apiKeys', (t) =>
  t.connection({
    type: ApiKey,
    complexity: pageComplexity,
    authScopes: { permission: 'apiKey:read' },
    description: 'Its keys, newest first. A key that asks sees itself through `apiKey`, not its siblings.',
    resolve: ({ id }, args, { actor, loaders }) =>
      resolveNestedPage(loaders.apiKeysOf, actor.principal.kind === 'apiKey' ? '' : id, args),
  }),
);

const apiKeyId = 'The id of the key.';
const permissions = 'What it may do at the product, as the product names it.';
const allowedOrigins =
  'Origins from which browsers may use it, such as https://app.example.com; where the product has them.';

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'A key to create.',
  fields: (t) => ({
    workspaceId: t.id({ description: "The workspace that is to own it. Without one: the person's own." }),
    name: t.string({ required: true, description: '1 to 100 characters. One key per workload is good practice.' }),
    product: t.string({ description: "What it is to be a key of. Without one: the server's first product." }),
    environment: t.field({ type: Environment, defaultValue: 'LIVE', description: 'What it is for.' }),
    permissions: t.stringList({ description: `${permissions} Without them: all that keys can hold.` }),
    allowedOrigins: t.stringList({ description: allowedOrigins }),
    spendLimit: t.field({ type: SpendLimitInput, description: 'The most that it is to spend in a period.' }),
    expiresAt: t.field({ type: 'DateTime', description: 'When it is to end by itself.' }),
  }),
});

const CreateApiKeyPayload = builder
  .objectRef<{
    apiKey: typeof ApiKey.$inferType;
    secret: string;
    signingSecret: string | null;
    freeCreditsRemaining: number;
  }>('CreateApiKeyPayload')
  .implement({
    description: 'The new key, and what is shown this once.',
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The key.', resolve: (p) => p.apiKey }),
      secret: t.exposeString('secret', { description: 'The plaintext. Shown this once: store it now.' }),
      signingSecret: t.exposeString('signingSecret', {
        nullable: true,
        description: 'Verifies the signatures of webhooks. Shown this once; null where the product has none.',
      }),
      freeCreditsRemaining: t.exposeInt('freeCreditsRemaining', {
        description:
          "Credits that came with this key: the product's free credits with a workspace's first key of it, else 0.",
      }),
    }),
  });

const UpdateApiKeyInput = builder.inputType('UpdateApiKeyInput', {
  description: 'What to change of a key. What is not named stays.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: apiKeyId }),
    name: t.string({ description: '1 to 100 characters.' }),
    enabled: t.boolean({ description: 'false switches it off, true on again.' }),
    permissions: t.stringList({ description: permissions }),
    allowedOrigins: t.stringList({ description: `${allowedOrigins} An empty list: any.` }),
    spendLimit: t.field({
      type: SpendLimitInput,
      description: 'The most that it is to spend in a period; null: no limit.',
    }),
    expiresAt: t.field({ type: 'DateTime', description: 'When it is to end by itself; null: never.' }),
  }),
});

function apiKeyPayload(name: string, description: string) {
  return builder.objectRef<{ apiKey: typeof ApiKey.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The key as it is now.', resolve: ({ apiKey }) => apiKey }),
    }),
  });
}

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'A key to end.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: apiKeyId }),
    reason: t.string({ description: 'Why, for the record. At most 500 characters.' }),
  }),
});

const DeleteApiKeyInput = builder.inputType('DeleteApiKeyInput', {
  description: 'A key to delete.',
  fields: (t) => ({ apiKeyId: t.id({ required: true, description: apiKeyId }) }),
});

const DeleteApiKeyPayload = builder.objectRef<{ deletedApiKeyId: string }>('DeleteApiKeyPayload').implement({
  description: 'Which key is gone.',
  fields: (t) => ({
    deletedApiKeyId: t.exposeID('deletedApiKeyId', { description: 'The id that names nothing now.' }),
  }),
});

builder.mutationFields((t) => ({
  createApiKey: t.field({
    type: CreateApiKeyPayload,
    description: 'Creates a key. The product says who may.',
    authScopes: { permission: 'apiKey:create' },
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'What to create.' }) },
    errors: {
      types: [ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError, SecretUnavailableError],
    },
    resolve: (_root, { input }, { actor, domain }) =>
      domain.apiKeys.create(actor, { ...input, environment: input.environment ?? 'LIVE' }),
  }),
  updateApiKey: t.field({
    type: apiKeyPayload('UpdateApiKeyPayload', 'The changed key.'),
    description: 'Renames, restricts, disables or enables a key, or sets when it ends.',
    authScopes: { permission: 'apiKey:update' },
    args: { input: t.arg({ type: UpdateApiKeyInput, required: true, description: 'What to change.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError] },
    resolve: (_root, { input }, { actor, domain }) => domain.apiKeys.update(actor, input),
  }),
  revokeApiKey: t.field({
    type: apiKeyPayload('RevokeApiKeyPayload', 'The ended key.'),
    description: 'Ends a key for good. The next verification refuses it, on every process.',
    authScopes: { permission: 'apiKey:revoke' },
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'What to end.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.apiKeys.revoke(actor, input),
  }),
  deleteApiKey: t.field({
    type: DeleteApiKeyPayload,
    description: 'Ends a key and takes it out of every list. What it was charged stays in the ledger.',
    authScopes: { permission: 'apiKey:delete' },
    args: { input: t.arg({ type: DeleteApiKeyInput, required: true, description: 'What to delete.' }) },
    errors: { types: [NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.apiKeys.delete(actor, input),
  }),
}));
