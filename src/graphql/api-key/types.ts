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
  description: 'Maximum of credits that a key can spend in a period.',
  fields: (t) => ({
    credits: t.exposeInt('credits', { description: 'Credits per period, at least 1.' }),
    period: t.expose('period', { type: SpendPeriod, description: 'Length of a period.' }),
  }),
});

const KeySecret = builder.prismaObject('KeySecret', {
  interfaces: [Node],
  description: 'A secret of an API key. The plaintext was shown once and is not stored.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id, for `retireSecret`. It is not secret.' }),
    preview: t.exposeString('preview', { description: 'Last four characters of the secret.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of creation.' }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'Time of the last accepted use, in a verification or with this API. Delayed by a few seconds. Null: never used.',
      resolve: async ({ id, apiKeyId, workspaceId }, _args, { loaders }) =>
        (await loaders.lastUsesOf.load({ id: apiKeyId, workspaceId })).bySecret.get(id) ?? null,
    }),
    retiresAt: t.expose('retiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time after which the secret is refused. Null: no newer secret replaces it.',
    }),
  }),
});

export const ApiKey = builder.prismaObject('ApiKey', {
  interfaces: [Node],
  description: 'An API key of a workspace. Its plaintext was shown once, when it was created, and is not stored.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id. It is not secret.' }),
    name: t.exposeString('name', { description: 'Display name, 1 to 100 characters.' }),
    product: t.exposeString('product', { description: 'Slug of the product that accepts this key.' }),
    environment: t.expose('environment', {
      type: Environment,
      description: 'Whether the key is for real or for test requests.',
    }),
    status: t.field({
      type: ApiKeyStatus,
      description: 'Current state. `DISABLED`, `EXPIRED` and `REVOKED` keys are refused.',
      resolve: (key, _args, { services }) => decideStatus(key, services.clock()),
    }),
    preview: t.string({
      description: 'Last four characters of the newest secret.',
      resolve: async (key, _args, { loaders }) => (await loaders.secretsOf.load(key))[0]?.preview ?? '',
    }),
    keyId: t.exposeString('keyId', {
      nullable: true,
      description: 'Public part of a header pair. Null: the product uses bearer keys.',
    }),
    permissions: t.exposeStringList('permissions', {
      description: 'Permissions of the key at the product, as in `Product.permissions`.',
    }),
    allowedOrigins: t.exposeStringList('allowedOrigins', {
      description: 'Origins from which browsers may use the key. Empty: any origin.',
    }),
    createdBy: t.field({
      type: User,
      nullable: true,
      description: 'User who created the key. Null: a service created it, or the caller is an API key.',
      resolve: ({ createdByUserId }, _args, { actor, loaders }) =>
        createdByUserId === null || isNothing(visibleUsers(actor.principal))
          ? null
          : loaders.usersById.load(createdByUserId),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of creation.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time after which the key is refused. Null: never.',
    }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'Time of the last accepted use of any secret, in a verification or with this API. Delayed by a few seconds. Null: never used.',
      resolve: async (key, _args, { loaders }) => (await loaders.lastUsesOf.load(key)).ofKey,
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time of revocation. Null: not revoked.',
    }),
    revocationReason: t.exposeString('revocationReason', {
      nullable: true,
      description: 'Reason of the revocation, at most 500 characters. Null: none given, or not revoked.',
    }),
    spendLimit: t.field({
      type: SpendLimit,
      nullable: true,
      description: 'Maximum of credits that the key can spend in a period. Null: no limit.',
      resolve: ({ spendLimit, spendPeriod }) =>
        spendLimit === null || spendPeriod === null ? null : { credits: spendLimit, period: spendPeriod },
    }),
    secrets: t.field({
      type: [KeySecret],
      authScopes: { permission: 'apiKey:read' },
      description: `The newest ${secretsMax} secrets, newest first. An old secret that is no longer used can be retired.`,
      resolve: async (key, _args, { loaders }) => [...(await loaders.secretsOf.load(key))],
    }),
    signingSecretPreview: t.string({
      nullable: true,
      description: 'Last four characters of the secret that signs webhooks. Null: the product has no signing secrets.',
      resolve: async ({ id }, _args, { loaders }) => (await loaders.signingSecretOf.load(id))?.preview ?? null,
    }),
    signingSecretRotatedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'Time at which the secret that signs webhooks was created. Null: the product has no signing secrets.',
      resolve: async ({ id }, _args, { loaders }) => (await loaders.signingSecretOf.load(id))?.createdAt ?? null,
    }),
    workspace: t.field({
      type: Workspace,
      description: 'The workspace that owns this key.',
      resolve: ({ workspaceId }, _args, { loaders }) => loaders.workspacesById.load(workspaceId),
    }),
  }),
});

const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  description: 'Conditions that listed keys meet. Omitted fields are ignored.',
  fields: (t) => ({
    status: t.field({ type: ApiKeyStatus, description: 'Only keys in this state.' }),
    product: t.string({ description: 'Only keys of this product, by its slug.' }),
    environment: t.field({ type: Environment, description: 'Only keys of this environment.' }),
  }),
});

builder.queryFields((t) => ({
  apiKeys: t.connection({
    type: ApiKey,
    complexity: pageComplexity,
    description: 'API keys that are visible to the caller, newest first.',
    authScopes: { permission: 'apiKey:read' },
    args: {
      workspaceId: t.arg.id({ description: 'Only keys of this workspace.' }),
      filter: t.arg({ type: ApiKeyFilter, description: 'Only keys that meet these conditions.' }),
    },
    resolve: (_root, { workspaceId, filter, ...args }, { services, actor }) =>
      resolvePage(args, (page) =>
        listApiKeys(services.db, actor.principal, { ...filter, workspaceId }, page, services.clock()),
      ),
  }),
  apiKey: t.field({
    type: ApiKey,
    nullable: true,
    description: 'An API key by its id. Null: it does not exist or is not visible to the caller.',
    authScopes: { permission: 'apiKey:read' },
    args: { id: t.arg.id({ required: true, description: 'Id of the key.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.nodes.ApiKey(id),
  }),
}));

builder.prismaObjectField(Workspace, 'apiKeys', (t) =>
  t.connection({
    type: ApiKey,
    complexity: pageComplexity,
    authScopes: { permission: 'apiKey:read' },
    description:
      'API keys of the workspace, newest first. Empty when the caller is an API key: it sees only itself, through `apiKey`.',
    resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.apiKeysOf, id, args),
  }),
);
