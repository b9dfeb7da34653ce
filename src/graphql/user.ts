import { builder } from './builder.js';
import { Node } from './nodes.js';

export const User = builder.prismaObject('User', {
  interfaces: [Node],
  description: 'A person. Visible to themselves, to members of the same workspaces and to services.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    name: t.exposeString('name', { description: 'Display name.' }),
    email: t.exposeString('email', {
      description:
        'E-mail address. It ends with `@identity.invalid` for a user of an identity provider that vouches for no address.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of registration.' }),
  }),
});
