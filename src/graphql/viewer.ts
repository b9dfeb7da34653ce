import type { Principal } from '../domain/access/principal.js';
import { ApiKey } from './api-key/types.js';
import { builder } from './builder.js';
import { User } from './user.js';
import { Workspace } from './workspace.js';

const ViewerKind = builder.enumType('ViewerKind', {
  description: 'Kind of credential that the request carries.',
  values: {
    API_KEY: { description: 'An API key.', value: 'apiKey' },
    USER: { description: 'A signed-in person.', value: 'user' },
    SERVICE: { description: 'A service token.', value: 'service' },
  } as const,
});

type KnownPrincipal = Exclude<Principal, { kind: 'anonymous' }>;

const Viewer = builder.objectRef<KnownPrincipal>('Viewer').implement({
  description: 'The caller.',
  fields: (t) => ({
    kind: t.field({ type: ViewerKind, description: 'Kind of credential of the caller.', resolve: ({ kind }) => kind }),
    user: t.prismaField({
      type: User,
      nullable: true,
      description: 'The signed-in person. Null: the caller is an API key or a service.',
      resolve: (query, viewer, _args, { services }) =>
        viewer.kind === 'user' ? services.db.user.findUnique({ ...query, where: { id: viewer.userId } }) : null,
    }),
    apiKey: t.prismaField({
      type: ApiKey,
      nullable: true,
      description: 'The calling API key. Null: the caller is a person or a service.',
      resolve: (query, viewer, _args, { services }) =>
        viewer.kind === 'apiKey' ? services.db.apiKey.findUnique({ ...query, where: { id: viewer.apiKeyId } }) : null,
    }),
    workspace: t.prismaField({
      type: Workspace,
      nullable: true,
      description:
        'The workspace of the API key, or the personal workspace of the person. Null: the caller is a service.',
      resolve: (query, viewer, _args, { services }) => {
        if (viewer.kind === 'apiKey')
          return services.db.workspace.findUnique({ ...query, where: { id: viewer.workspaceId } });
        if (viewer.kind === 'user') {
          return services.db.workspace.findUnique({ ...query, where: { personalOwnerId: viewer.userId } });
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
    description: 'The caller. Null: the request has no credential.',
    authScopes: { public: true },
    resolve: (_root, _args, { actor: { principal } }) => (principal.kind === 'anonymous' ? null : principal),
  }),
);
