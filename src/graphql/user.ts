import { builder } from './builder.js';

export const User = builder.prismaNode('User', {
  nullable: true,
  id: { field: 'id', description: 'Names this person.' },
  description: 'A person. Seen by themselves, by those who share a workspace with them, and by services.',
  findUnique: (id, { actor: { principal } }) => {
    if (principal.kind === 'service') return { id };
    if (principal.kind !== 'user') return { id, AND: { id: '' } };
    const sharesWorkspace = {
      memberships: { some: { workspace: { members: { some: { userId: principal.userId } } } } },
    };
    return { id, OR: [{ id: principal.userId }, sharesWorkspace] };
  },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What they call themselves.' }),
    email: t.exposeString('email', { description: 'Their e-mail address.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they first came.' }),
  }),
});
