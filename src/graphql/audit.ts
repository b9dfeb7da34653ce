import { listEvents, mayReadAudit } from '../domain/audit/read.js';
import type { AuditEvent as AuditEventRow } from '../generated/prisma/client.js';
import { builder } from './builder.js';
import { chainCheckMax } from './loaders.js';
import { Node } from './nodes.js';
import { pageComplexity, resolvePage } from './pages.js';
import { User } from './user.js';

const AuditActorKind = builder.enumType('AuditActorKind', {
  description: 'Kind of the principal that acted.',
  values: {
    API_KEY: { description: 'An API key.' },
    USER: { description: 'A signed-in person.' },
    SERVICE: { description: "A service token of the product's backend or of an operator." },
    SYSTEM: { description: 'The server itself, or its operator on the command line.' },
  } as const,
});

const AuditActor = builder
  .objectRef<Pick<AuditEventRow, 'actorKind' | 'actorId' | 'workspaceId'>>('AuditActor')
  .implement({
    description: 'The principal that acted.',
    fields: (t) => ({
      kind: t.expose('actorKind', { type: AuditActorKind, description: 'Kind of the principal.' }),
      principalId: t.exposeID('actorId', {
        nullable: true,
        description: 'Id of the API key, user or service token. Null: the server itself.',
      }),
      user: t.field({
        type: User,
        nullable: true,
        description: 'The user. Null: the principal is not a user, or the user is not visible to the caller.',
        resolve: ({ actorKind, actorId, workspaceId }, _args, { loaders }) =>
          actorKind === 'USER' && actorId !== null ? loaders.auditActors.load(`${workspaceId ?? ''} ${actorId}`) : null,
      }),
    }),
  });

const AuditEvent = builder.prismaObject('AuditEvent', {
  interfaces: [Node],
  description:
    'An entry of the audit trail: who did what. Events are never changed or removed; the hash of each covers the previous event. Visible to owners and admins of the workspace and to services.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    sequence: t.exposeInt('sequence', { description: 'Number of the event within the workspace: 1, 2, 3 and so on.' }),
    action: t.exposeString('action', {
      description: 'What was done, such as `apiKey.revoked`, or refused, such as `apiKey.revoke.refused`.',
    }),
    refused: t.exposeBoolean('refused', { description: 'Whether the action was refused.' }),
    actor: t.field({ type: AuditActor, description: 'The principal that acted.', resolve: (event) => event }),
    subjectId: t.exposeID('subjectId', { description: 'Id of the object that the action concerns.' }),
    before: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Changed fields before the action, without secrets. Null: the object did not exist.',
      resolve: ({ before }) => before,
    }),
    after: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Changed fields after the action, without secrets. Null: the object was removed.',
      resolve: ({ after }) => after,
    }),
    requestId: t.exposeString('requestId', {
      nullable: true,
      description: 'Id of the request, as in the log and in the header `x-request-id`. Null: there was no request.',
    }),
    address: t.exposeString('address', {
      nullable: true,
      description: 'Network address of the caller. Null: unknown.',
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'Time of the action, by the clock of the database.',
    }),
    hash: t.string({
      description: 'SHA-256 of the event and of the hash of the previous event, in hexadecimal.',
      resolve: ({ hash }) => Buffer.from(hash).toString('hex'),
    }),
  }),
});

const AuditEventFilter = builder.inputType('AuditEventFilter', {
  description: 'Conditions that listed events meet. Omitted fields are ignored.',
  fields: (t) => ({
    action: t.string({ description: 'Only events with this action, such as `apiKey.revoked`.' }),
    subjectId: t.id({ description: 'Only events that concern the object with this id.' }),
    actorKind: t.field({ type: AuditActorKind, description: 'Only events of this kind of principal.' }),
    actorId: t.id({ description: 'Only events of the API key, user or service token with this id.' }),
    refused: t.boolean({ description: 'True: only refused actions. False: only performed actions.' }),
    from: t.field({ type: 'DateTime', description: 'Only events at or after this time.' }),
    to: t.field({ type: 'DateTime', description: 'Only events before this time.' }),
  }),
});

builder.queryField('auditEvents', (t) =>
  t.connection(
    {
      type: AuditEvent,
      complexity: pageComplexity,
      description: 'Audit trail of a workspace, newest first. For owners, admins and services.',
      authScopes: { permission: 'audit:read' },
      args: {
        workspaceId: t.arg.id({ required: true, description: 'Id of the workspace.' }),
        filter: t.arg({ type: AuditEventFilter, description: 'Only events that meet these conditions.' }),
      },
      resolve: async (_root, { workspaceId, filter, ...args }, { actor, services: { db } }) => {
        const isReadable = await mayReadAudit(db, actor.principal, workspaceId);
        const page = await resolvePage(args, async (keyset) =>
          isReadable ? listEvents(db, workspaceId, filter ?? {}, keyset) : [],
        );
        return { ...page, chainOf: isReadable ? workspaceId : null };
      },
    },
    {
      description: 'One page of an audit trail.',
      fields: (fields) => ({
        intact: fields.boolean({
          complexity: 500,
          description: `Whether the newest ${chainCheckMax} events of the workspace are unchanged and complete, independent of the filter. \`tollkeeper audit verify\` checks all events.`,
          // A workspace that may not be read looks like one that does not exist, and whose chain is empty.
          resolve: ({ chainOf }, _args, { loaders }) => chainOf === null || loaders.isChainIntact.load(chainOf),
        }),
      }),
    },
  ),
);
