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
  description: 'The most that a key is to spend in a period. What it spends counts from when the limit is set.',
  fields: (t) => ({
    credits: t.int({ required: true, description: 'Credits in any one period: at least 1.' }),
    period: t.field({ type: SpendPeriod, required: true, description: 'How long a period is.' }),
  }),
});

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

const RotateApiKeyInput = builder.inputType('RotateApiKeyInput', {
  description: 'A key that is to have a new secret.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: 'The id of the key.' }),
    overlapSeconds: t.int({
      required: true,
      defaultValue: 0,
      description:
        "For how long the old secret goes on working, at most the product's `rotationOverlapSecondsMax`. 0: it ends at once.",
    }),
  }),
});

const RotateApiKeyPayload = builder
  .objectRef<{ apiKey: typeof ApiKey.$inferType; secret: string; oldSecretsRetireAt: Date | null }>(
    'RotateApiKeyPayload',
  )
  .implement({
    description: 'The same key, and its new secret, shown this once.',
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The key.', resolve: ({ apiKey }) => apiKey }),
      secret: t.exposeString('secret', { description: 'The plaintext. Shown this once: store it now.' }),
      oldSecretsRetireAt: t.expose('oldSecretsRetireAt', {
        type: 'DateTime',
        nullable: true,
        description: 'From when on only the new secret works; null where no other one worked.',
      }),
    }),
  });

const RetireSecretInput = builder.inputType('RetireSecretInput', {
  description: 'An old secret to end.',
  fields: (t) => ({
    secretId: t.id({ required: true, description: 'The id of the secret, as `ApiKey.secrets` shows it.' }),
  }),
});

const RetireSecretPayload = builder.objectRef<{ apiKey: typeof ApiKey.$inferType }>('RetireSecretPayload').implement({
  description: 'The key, whose other secrets work as before.',
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
  description: 'Whose signing secret to replace.',
  fields: (t) => ({
    apiKeyId: t.id({ required: true, description: 'The id of the key.' }),
    overlapSeconds: t.int({
      defaultValue: 0,
      description:
        'How long the old secret signs beside the new one, so that receivers can change in between: at most a week. 0: not at all.',
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
    description: 'The new signing secret, shown this once.',
    fields: (t) => ({
      apiKey: t.field({ type: ApiKey, description: 'The key, which works as before.', resolve: (p) => p.apiKey }),
      signingSecret: t.exposeString('signingSecret', { description: 'The plaintext. Shown this once: store it now.' }),
      signingSecretRotatedAt: t.expose('signingSecretRotatedAt', {
        type: 'DateTime',
        description: 'Since when it signs.',
      }),
      oldSigningSecretRetiresAt: t.expose('oldSigningSecretRetiresAt', {
        type: 'DateTime',
        description: 'From when no older one signs any more: at once without an overlap.',
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
