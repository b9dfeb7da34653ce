import { listEvents, mayReadAudit } from '../domain/audit/read.js';
import type { AuditEvent as AuditEventRow } from '../generated/prisma/client.js';
import { builder } from './builder.js';
import { chainCheckMax } from './loaders.js';
import { Node } from './nodes.js';
import { pageComplexity, resolvePage } from './pages.js';
import { User } from './user.js';

const AuditActorKind = builder.enumType('AuditActorKind', {
  description: 'What kind of principal acted.',
  values: {
    API_KEY: { description: 'An API key.' },
    USER: { description: 'A person who signed in.' },
    SERVICE: { description: "A service token: the product's backend, or an operator." },
    SYSTEM: { description: 'This server by itself, or its operator from a shell.' },
  } as const,
});

const AuditActor = builder
  .objectRef<Pick<AuditEventRow, 'actorKind' | 'actorId' | 'workspaceId'>>('AuditActor')
  .implement({
    description: 'Who acted.',
    fields: (t) => ({
      kind: t.expose('actorKind', { type: AuditActorKind, description: 'What kind of principal it is.' }),
      principalId: t.exposeID('actorId', {
        nullable: true,
        description: 'The id of the key, the person or the service token; null for the server itself.',
      }),
      user: t.field({
        type: User,
        nullable: true,
        description: 'The person; null where it is none, or nobody of this workspace whom the reader could see.',
        resolve: ({ actorKind, actorId, workspaceId }, _args, { loaders }) =>
          actorKind === 'USER' && actorId !== null ? loaders.auditActors.load(`${workspaceId ?? ''} ${actorId}`) : null,
      }),
    }),
  });

const AuditEvent = builder.prismaObject('AuditEvent', {
  interfaces: [Node],
  description:
    'Who did what, on what. It is never changed and never removed, and its hash covers the event before it. Seen by owners and admins of its workspace, and by services.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this event.' }),
    sequence: t.exposeInt('sequence', { description: 'Its number within the workspace: 1, 2, 3 and so on.' }),
    action: t.exposeString('action', {
      description: 'What was done, such as `apiKey.revoked`, or tried, such as `apiKey.revoke.refused`.',
    }),
    refused: t.exposeBoolean('refused', { description: 'Whether it was tried and not done.' }),
    actor: t.field({ type: AuditActor, description: 'Who did it.', resolve: (event) => event }),
    subjectId: t.exposeID('subjectId', { description: 'What it was done to.' }),
    before: t.field({
      type: 'JSON',
      nullable: true,
      description: 'What was, as an object without secrets; null for what came to be.',
      resolve: ({ before }) => before,
    }),
    after: t.field({
      type: 'JSON',
      nullable: true,
      description: 'What is since, as an object without secrets; null for what is gone.',
      resolve: ({ after }) => after,
    }),
    requestId: t.exposeString('requestId', {
      nullable: true,
      description: 'The request that it came with, as the log and `x-request-id` name it.',
    }),
    address: t.exposeString('address', { nullable: true, description: 'The network address that asked.' }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When it happened, by the clock of the database.',
    }),
    hash: t.string({
      description: 'SHA-256 over the event and the hash of the event before it, in hexadecimal.',
      resolve: ({ hash }) => Buffer.from(hash).toString('hex'),
    }),
  }),
});

const AuditEventFilter = builder.inputType('AuditEventFilter', {
  description: 'Which events to list. What is not named does not matter.',
  fields: (t) => ({
    action: t.string({ description: 'Only this action, such as `apiKey.revoked`.' }),
    subjectId: t.id({ description: 'Only what was done to this.' }),
    actorKind: t.field({ type: AuditActorKind, description: 'Only by this kind of principal.' }),
    actorId: t.id({ description: 'Only by this key, person or service token.' }),
    refused: t.boolean({ description: 'true: only what was refused; false: only what was done.' }),
    from: t.field({ type: 'DateTime', description: 'Only from this moment on.' }),
    to: t.field({ type: 'DateTime', description: 'Only before this moment.' }),
  }),
});

builder.queryField('auditEvents', (t) =>
  t.connection(
    {
      type: AuditEvent,
      complexity: pageComplexity,
      description: 'What was done in a workspace, and what was refused, newest first. For owners, admins and services.',
      authScopes: { permission: 'audit:read' },
      args: {
        workspaceId: t.arg.id({ required: true, description: 'The workspace.' }),
        filter: t.arg({ type: AuditEventFilter, description: 'Only such events.' }),
      },
      resolve: async (_root, { workspaceId, filter, ...args }, { actor, deps: { db } }) => {
        const isReadable = await mayReadAudit(db, actor.principal, workspaceId);
        const page = await resolvePage(args, async (keyset) =>
          isReadable ? listEvents(db, workspaceId, filter ?? {}, keyset) : [],
        );
        return { ...page, chainOf: isReadable ? workspaceId : null };
      },
    },
    {
      description: 'A page of the audit trail.',
      fields: (fields) => ({
        intact: fields.boolean({
          complexity: 500,
          description: `Whether the newest ${chainCheckMax} events of the workspace, whatever the filter, are as they were recorded, and none is missing. \`tollkeeper audit verify\` looks at all of them.`,
          // A workspace that may not be read looks like one that does not exist, and whose chain is empty.
          resolve: ({ chainOf }, _args, { loaders }) => chainOf === null || loaders.isChainIntact.load(chainOf),
        }),
      }),
    },
  ),
);
