import type { Principal } from '../domain/access/principal.js';
import { ApiKey } from './api-key/types.js';
import { builder } from './builder.js';
import { User } from './user.js';
import { Workspace } from './workspace.js';

const ViewerKind = builder.enumType('ViewerKind', {
  description: 'What kind of credential the request presents.',
  values: {
    API_KEY: { description: 'An API key.', value: 'apiKey' },
    USER: { description: 'A person who signed in.', value: 'user' },
    SERVICE: { description: 'A service token.', value: 'service' },
  } as const,
});

type KnownPrincipal = Exclude<Principal, { kind: 'anonymous' }>;

const Viewer = builder.objectRef<KnownPrincipal>('Viewer').implement({
  description: 'Whoever asks.',
  fields: (t) => ({
    kind: t.field({ type: ViewerKind, description: 'By what kind of credential.', resolve: ({ kind }) => kind }),
    user: t.prismaField({
      type: User,
      nullable: true,
      description: 'The person who signed in; null for keys and services.',
      resolve: (query, viewer, _args, { deps }) =>
        viewer.kind === 'user' ? deps.db.user.findUnique({ ...query, where: { id: viewer.userId } }) : null,
    }),
    apiKey: t.prismaField({
      type: ApiKey,
      nullable: true,
      description: 'The key that asks; null for people and services.',
      resolve: (query, viewer, _args, { deps }) =>
        viewer.kind === 'apiKey' ? deps.db.apiKey.findUnique({ ...query, where: { id: viewer.apiKeyId } }) : null,
    }),
    workspace: t.prismaField({
      type: Workspace,
      nullable: true,
      description: "The key's workspace, or the person's own; null for services.",
      resolve: (query, viewer, _args, { deps }) => {
        if (viewer.kind === 'apiKey')
          return deps.db.workspace.findUnique({ ...query, where: { id: viewer.workspaceId } });
        if (viewer.kind === 'user') {
          return deps.db.workspace.findUnique({ ...query, where: { personalOwnerId: viewer.userId } });
        }
        return null;
      },
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    nullable: true,
    description: 'Whoever asks; null when anonymous.',
    authScopes: { public: true },
    resolve: (_root, _args, { actor: { principal } }) => (principal.kind === 'anonymous' ? null : principal),
  }),
);
