import {
  ConflictError,
  ForbiddenError,
  LimitReachedError,
  NotFoundError,
  SecretUnavailableError,
  ValidationError,
} from '../errors.js';
import { ApiKey } from './api-key.js';
import { builder } from './builder.js';

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
