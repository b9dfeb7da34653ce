import { isNothing, visibleUsers } from '../../domain/access/visibility.js';
import { listApiKeys, secretsMax } from '../../domain/keys/read.js';
import type { SpendLimit as SpendLimitShape } from '../../domain/keys/spend-limit.js';
import { decideStatus } from '../../domain/keys/status.js';
import { builder } from '../builder.js';
import { ApiKeyStatus, Environment, SpendPeriod } from '../enums.js';
import { Node } from '../nodes.js';
import { pageComplexity, resolveNestedPage, resolvePage } from '../pages.js';
import { User } from '../user.js';
import { Workspace } from '../workspace.js';

const SpendLimit = builder.objectRef<SpendLimitShape>('SpendLimit').implement({
  description: 'The most that a key spends in a period, beside what its workspace can pay.',
  fields: (t) => ({
    credits: t.exposeInt('credits', { description: 'Credits in any one period.' }),
    period: t.expose('period', { type: SpendPeriod, description: 'How long a period is.' }),
  }),
});

const KeySecret = builder.prismaObject('KeySecret', {
  interfaces: [Node],
  description: 'A secret of a key. Its plaintext was shown once and is not stored.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this secret, for `retireSecret`. It is no secret.' }),
    preview: t.exposeString('preview', { description: 'Its last four characters, to tell secrets apart.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When it was last let through, by a verification or by this API, a few seconds late; null for never.',
    }),
    retiresAt: t.expose('retiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'From when it is refused; null while nothing replaces it.',
    }),
  }),
});

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
        createdByUserId === null || isNothing(visibleUsers(actor.principal))
          ? null
          : loaders.usersById.load(createdByUserId),
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
    spendLimit: t.field({
      type: SpendLimit,
      nullable: true,
      description: 'The most that it spends in a period; null without a limit.',
      resolve: ({ spendLimit, spendPeriod }) =>
        spendLimit === null || spendPeriod === null ? null : { credits: spendLimit, period: spendPeriod },
    }),
    secrets: t.field({
      type: [KeySecret],
      authScopes: { permission: 'apiKey:read' },
      description: `Its secrets, newest first, the last ${secretsMax} at most. An old one that is not used any more can go without harm.`,
      resolve: async (key, _args, { loaders }) => [...(await loaders.secretsOf.load(key)).newest],
    }),
    signingSecretPreview: t.string({
      nullable: true,
      description: 'The last four characters of the secret that signs its webhooks; null where the product has none.',
      resolve: async ({ id }, _args, { loaders }) => (await loaders.signingSecretOf.load(id))?.preview ?? null,
    }),
    signingSecretRotatedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the secret that signs its webhooks was made; null where the product has none.',
      resolve: async ({ id }, _args, { loaders }) => (await loaders.signingSecretOf.load(id))?.createdAt ?? null,
    }),
    workspace: t.field({
      type: Workspace,
      description: 'Whose it is.',
      resolve: ({ workspaceId }, _args, { loaders }) => loaders.workspacesById.load(workspaceId),
    }),
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
    resolve: (_root, { workspaceId, filter, ...args }, { deps, actor }) =>
      resolvePage(args, (page) =>
        listApiKeys(deps.db, actor.principal, { ...filter, workspaceId }, page, deps.clock()),
      ),
  }),
  apiKey: t.field({
    type: ApiKey,
    nullable: true,
    description: 'One key. null where it does not exist or may not be seen.',
    authScopes: { permission: 'apiKey:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the key.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.nodes.ApiKey(id),
  }),
}));

builder.prismaObjectField(Workspace, 'apiKeys', (t) =>
  t.connection({
    type: ApiKey,
    complexity: pageComplexity,
    authScopes: { permission: 'apiKey:read' },
    description: 'Its keys, newest first. A key that asks sees itself through `apiKey`, not its siblings.',
    resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.apiKeysOf, id, args),
  }),
);
