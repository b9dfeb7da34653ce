import { createApiKey } from '../../domain/keys/create.js';
import { deleteApiKey, revokeApiKey } from '../../domain/keys/revoke.js';
import { retireSecret, rotateApiKey } from '../../domain/keys/rotate.js';
import { rotateSigningSecret } from '../../domain/keys/signing-secret.js';
import { updateApiKey } from '../../domain/keys/update.js';
import {
  ConflictError,
  ForbiddenError,
  LimitReachedError,
  NotFoundError,
  SecretUnavailableError,
  ValidationError,
} from '../../errors.js';
import { builder } from '../builder.js';
import { commandField } from '../command-field.js';
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

commandField(createApiKey, {
  description: 'Creates an API key. The product defines who may create its keys.',
  input: CreateApiKeyInput,
  inputDescription: 'The key to create.',
  payload: CreateApiKeyPayload,
  errors: [ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError, SecretUnavailableError],
});

commandField(updateApiKey, {
  description:
    'Changes the name, permissions, origins, spend limit or expiry of an API key, or disables or enables it.',
  input: UpdateApiKeyInput,
  inputDescription: 'The key and its changes.',
  payload: apiKeyPayload('UpdateApiKeyPayload', 'The changed key.'),
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError],
});

commandField(revokeApiKey, {
  description: 'Revokes an API key permanently. The next verification refuses it, on every process.',
  input: RevokeApiKeyInput,
  inputDescription: 'The key to revoke.',
  payload: apiKeyPayload('RevokeApiKeyPayload', 'The revoked key.'),
  errors: [ValidationError, NotFoundError, ForbiddenError],
});

commandField(deleteApiKey, {
  description: 'Revokes an API key and removes it from all lists. Its charges stay in the ledger.',
  input: DeleteApiKeyInput,
  inputDescription: 'The key to delete.',
  payload: DeleteApiKeyPayload,
  errors: [NotFoundError, ForbiddenError],
});

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

commandField(rotateApiKey, {
  description:
    'Creates a new secret for an API key. The id, limits, history and the key id of a header pair stay the same. The old secret stays valid until the overlap ends, it is retired or the key ends.',
  input: RotateApiKeyInput,
  inputDescription: 'The key to rotate.',
  payload: RotateApiKeyPayload,
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError, SecretUnavailableError],
});

commandField(retireSecret, {
  description: 'Refuses an old secret from now on, before its overlap ends. The newest secret ends only with its key.',
  input: RetireSecretInput,
  inputDescription: 'The secret to retire.',
  payload: RetireSecretPayload,
  errors: [NotFoundError, ForbiddenError, ConflictError],
});

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

commandField(rotateSigningSecret, {
  description:
    'Creates a new signing secret for an API key. Webhooks are signed with it at once, and during an overlap with the old one too. An API key may rotate its own signing secret if its product allows it.',
  input: RotateSigningSecretInput,
  inputDescription: 'The key whose signing secret to rotate.',
  payload: RotateSigningSecretPayload,
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError, SecretUnavailableError],
});
