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

builder.prismaObjectFields(ApiKey, (t) => ({
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
