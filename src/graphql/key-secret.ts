import { ApiKey } from './api-key.js';
import { builder } from './builder.js';
import { secretsMax } from './key-secret-loader.js';
import { Node } from './nodes.js';

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

builder.prismaObjectField(ApiKey, 'secrets', (t) =>
  t.field({
    type: [KeySecret],
    authScopes: { permission: 'apiKey:read' },
    description: `Its secrets, newest first, the last ${secretsMax} at most. An old one that is not used any more can go without harm.`,
    resolve: async (key, _args, { loaders }) => [...(await loaders.secretsOf.load(key)).newest],
  }),
);
