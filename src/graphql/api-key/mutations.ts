import {
  ConflictError,
  ForbiddenError,
  LimitReachedError,
  NotFoundError,
  SecretUnavailableError,
  ValidationError,
} from '../../errors.js';
import { builder } from '../builder.js';
import { Environment, SpendPeriod } from '../enums.js';
import { ApiKey } from './types.js';

const SpendLimitInput = builder.inputType('SpendLimitInput', {
  description:
    'Maximum of credits that a key can spend in a period. Spending counts from the time at which the limit is set.',
  fields: (t) => ({
    credits: t.int({ required: true, description: 'Credits per period, at least 1.' }),
    period: t.field({ type: SpendPeriod, required: true, description: 'Length of a period.' }),
  }),
});

const apiKeyId = 'Id of the key.';
const permissions = 'Permissions of the key at the product, as in `Product.permissions`.';
const allowedOrigins =
  'Origins from which browsers may use the key, such as https://app.example.com, for products that restrict origins.';

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'An API key to create.',
  fields: (t) => ({
    workspaceId: t.id({
      description: 'Id of the workspace that owns the key. Default: the personal workspace of the caller.',
    }),
    name: t.string({ required: true, description: 'Display name, 1 to 100 characters. Use one key per workload.' }),
    product: t.string({ description: 'Slug of the product. Default: the first product of the server.' }),
    environment: t.field({
      type: Environment,
      defaultValue: 'LIVE',
      description: 'Whether the key is for real or for test requests.',
    }),
    permissions: t.stringList({ description: `${permissions} Default: all that keys of the product can hold.` }),
    allowedOrigins: t.stringList({ description: allowedOrigins }),
    spendLimit: t.field({
      type: SpendLimitInput,
      description: 'Maximum of credits that the key can spend in a period. Default: no limit.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'Time after which the key is refused, in the future. Default: never.',
    }),
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
    description: 'The created key and its secrets, which are shown only once.',
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The created key.', resolve: (p) => p.apiKey }),
      secret: t.exposeString('secret', { description: 'Plaintext of the secret, shown only once. Store it now.' }),
      signingSecret: t.exposeString('signingSecret', {
        nullable: true,
        description:
          'Secret to verify the signatures of webhooks, shown only once. Null: the product has no signing secrets.',
      }),
      freeCreditsRemaining: t.exposeInt('freeCreditsRemaining', {
        description:
          'Free credits that were granted with this key: those of the product for the first key of the workspace, otherwise 0.',
      }),
    }),
  });

const UpdateApiKeyInput = builder.inputType('UpdateApiKeyInput', {
  description: 'Changes to an API key. Omitted fields stay unchanged.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: apiKeyId }),
    name: t.string({ description: 'Display name, 1 to 100 characters.' }),
    enabled: t.boolean({ description: 'False disables the key, true enables it again.' }),
    permissions: t.stringList({ description: permissions }),
    allowedOrigins: t.stringList({ description: `${allowedOrigins} Empty: any origin.` }),
    spendLimit: t.field({
      type: SpendLimitInput,
      description: 'Maximum of credits that the key can spend in a period. Null: no limit.',
    }),
    expiresAt: t.field({ type: 'DateTime', description: 'Time after which the key is refused. Null: never.' }),
  }),
});

function apiKeyPayload(name: string, description: string) {
  return builder.objectRef<{ apiKey: typeof ApiKey.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The key after the change.', resolve: ({ apiKey }) => apiKey }),
    }),
  });
}

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'An API key to revoke.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: apiKeyId }),
    reason: t.string({ description: 'Reason for the audit trail, at most 500 characters.' }),
  }),
});

const DeleteApiKeyInput = builder.inputType('DeleteApiKeyInput', {
  description: 'An API key to delete.',
  fields: (t) => ({ apiKeyId: t.id({ required: true, description: apiKeyId }) }),
});

const DeleteApiKeyPayload = builder.objectRef<{ deletedApiKeyId: string }>('DeleteApiKeyPayload').implement({
  description: 'The deleted key.',
  fields: (t) => ({
    deletedApiKeyId: t.exposeID('deletedApiKeyId', { description: 'Id of the deleted key.' }),
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
    type: apiKeyPayload('RevokeApiKeyPayload', 'The revoked key.'),
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

const RotateApiKeyInput = builder.inputType('RotateApiKeyInput', {
  description: 'An API key that gets a new secret.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: 'Id of the key.' }),
    overlapSeconds: t.int({
      required: true,
      defaultValue: 0,
      description:
        'Seconds for which the old secret stays valid, from 0 to `Product.rotationOverlapSecondsMax`. 0: it is refused at once.',
    }),
  }),
});

const RotateApiKeyPayload = builder
  .objectRef<{ apiKey: typeof ApiKey.$inferType; secret: string; oldSecretsRetireAt: Date | null }>(
    'RotateApiKeyPayload',
  )
  .implement({
    description: 'The key and its new secret, which is shown only once.',
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The key.', resolve: ({ apiKey }) => apiKey }),
      secret: t.exposeString('secret', { description: 'Plaintext of the new secret, shown only once. Store it now.' }),
      oldSecretsRetireAt: t.expose('oldSecretsRetireAt', {
        type: 'DateTime',
        nullable: true,
        description: 'Time after which only the new secret is accepted. Null: no other secret was valid.',
      }),
    }),
  });

const RetireSecretInput = builder.inputType('RetireSecretInput', {
  description: 'An old secret to retire.',
  fields: (t) => ({
    secretId: t.id({ required: true, description: 'Id of the secret, as in `ApiKey.secrets`.' }),
  }),
});

const RetireSecretPayload = builder.objectRef<{ apiKey: typeof ApiKey.$inferType }>('RetireSecretPayload').implement({
  description: 'The key. Its other secrets stay valid.',
  fields: (t) => ({
    apiKey: t.field({ type: ApiKey, description: 'The key.', resolve: ({ apiKey }) => apiKey }),
  }),
});

builder.mutationFields((t) => ({
  rotateApiKey: t.field({
    type: RotateApiKeyPayload,
    description:
      'Gives a key a new secret. Its id, limits and history stay, and so does the key id of a header pair. The old secret works until the overlap ends or it is retired, and never longer than the key.',
    authScopes: { permission: 'apiKey:rotate' },
    args: { input: t.arg({ type: RotateApiKeyInput, required: true, description: 'What to rotate.' }) },
    errors: {
      types: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError, SecretUnavailableError],
    },
    resolve: (_root, { input }, { actor, domain }) => domain.apiKeys.rotate(actor, input),
  }),
  retireSecret: t.field({
    type: RetireSecretPayload,
    description: 'Ends an old secret before its overlap is over. The newest one ends only with its key.',
    authScopes: { permission: 'apiKey:rotate' },
    args: { input: t.arg({ type: RetireSecretInput, required: true, description: 'What to end.' }) },
    errors: { types: [NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.apiKeys.retireSecret(actor, input),
  }),
}));

const RotateSigningSecretInput = builder.inputType('RotateSigningSecretInput', {
  description: 'An API key that gets a new signing secret.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: 'Id of the key.' }),
    overlapSeconds: t.int({
      defaultValue: 0,
      description:
        'Seconds for which webhooks are signed with both the old and the new secret, from 0 to 604,800 (one week). 0: only with the new secret.',
    }),
  }),
});

const RotateSigningSecretPayload = builder
  .objectRef<{
    apiKey: typeof ApiKey.$inferType;
    signingSecret: string;
    signingSecretRotatedAt: Date;
    oldSigningSecretRetiresAt: Date;
  }>('RotateSigningSecretPayload')
  .implement({
    description: 'The new signing secret, which is shown only once.',
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The key.', resolve: (p) => p.apiKey }),
      signingSecret: t.exposeString('signingSecret', {
        description: 'Plaintext of the new signing secret, shown only once. Store it now.',
      }),
      signingSecretRotatedAt: t.expose('signingSecretRotatedAt', {
        type: 'DateTime',
        description: 'Time since which webhooks are signed with the new secret.',
      }),
      oldSigningSecretRetiresAt: t.expose('oldSigningSecretRetiresAt', {
        type: 'DateTime',
        description: 'Time after which no older secret signs webhooks.',
      }),
    }),
  });

builder.mutationField('rotateSigningSecret', (t) =>
  t.field({
    type: RotateSigningSecretPayload,
    description:
      'Replaces the secret that signs the webhooks of a key: the new one signs at once, and during an overlap both do. A key may do this for itself where its product says so.',
    authScopes: { permission: 'signingSecret:rotate' },
    args: { input: t.arg({ type: RotateSigningSecretInput, required: true, description: 'Whose secret.' }) },
    errors: {
      types: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError, SecretUnavailableError],
    },
    resolve: (_root, { input }, { actor, domain }) => domain.signingSecrets.rotate(actor, input),
  }),
);
