import { builder } from './builder.js';
import { Node } from './nodes.js';

export const User = builder.prismaObject('User', {
  interfaces: [Node],
  description: 'A person. Seen by themselves, by those who share a workspace with them, and by services.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this person.' }),
    name: t.exposeString('name', { description: 'What they call themselves.' }),
    email: t.exposeString('email', { description: 'Their e-mail address.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they first came.' }),
  }),
});
