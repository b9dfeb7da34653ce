import { visibleWebhookDeliveries } from '../domain/access/visibility.js';
import { ConflictError, ForbiddenError, NotFoundError } from '../errors.js';
import type { Prisma } from '../generated/prisma/client.js';
import { builder } from './builder.js';
import { WebhookDeliveryState, WebhookFailure } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity } from './pages.js';
import { resolveNestedPage, resolvePage, toPrismaPage } from './resolve-page.js';
import { WebhookEndpoint } from './webhook-endpoint.js';
import { webhookLoaders } from './webhook-loaders.js';

export const WebhookEvent = builder.prismaObject('WebhookEvent', {
  interfaces: [Node],
  description: 'Something that happened, as it is told. It can be read for 30 days.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description:
        'Names this event. It is the webhook-id of every attempt to deliver it, so that a receiver knows a repetition.',
    }),
    type: t.exposeString('type', { description: 'What happened, such as api_key.revoked.' }),
    payload: t.exposeString('payload', { description: 'The body, exactly as it is signed and sent.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it happened.' }),
  }),
});

const WebhookAttempt = builder.prismaObject('WebhookAttempt', {
  interfaces: [Node],
  description: 'One request to an endpoint, and how it went.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this attempt.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it began.' }),
    durationMs: t.exposeInt('durationMs', { description: 'How long it took, in milliseconds.' }),
    status: t.exposeInt('status', { nullable: true, description: 'The HTTP status; null where no answer came.' }),
    failure: t.expose('failure', {
      type: WebhookFailure,
      nullable: true,
      description: 'Why no answer came; null where one did, whatever its status.',
    }),
    responseStart: t.exposeString('responseStart', {
      nullable: true,
      description: 'How the body of the answer begins: at most 1,000 characters. null where no answer came.',
    }),
  }),
});

export const WebhookDelivery = builder.prismaObject('WebhookDelivery', {
  interfaces: [Node],
  description: 'An event on its way to one endpoint.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this delivery.' }),
    state: t.expose('state', { type: WebhookDeliveryState, description: 'Where it stands.' }),
    attemptCount: t.exposeInt('attemptCount', {
      description: 'How many attempts there were since it was created, or was asked for again.',
    }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it is tried next; null while it is being tried, and once it has ended.',
      resolve: ({ state, leaseId, dueAt }) => (state === 'PENDING' && leaseId === null ? dueAt : null),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was delivered, failed for good or was cancelled; null while it waits.',
    }),
    event: t.field({
      type: WebhookEvent,
      description: 'What is delivered.',
      resolve: ({ eventId }, _args, context) => webhookLoaders(context).eventsById.load(eventId),
    }),
    endpoint: t.field({
      type: WebhookEndpoint,
      description: 'Where to.',
      resolve: ({ endpointId }, _args, context) => webhookLoaders(context).endpointsById.load(endpointId),
    }),
    attempts: t.connection({
      type: WebhookAttempt,
      complexity: pageComplexity,
      description: 'The attempts, newest first.',
      resolve: ({ id }, args, context) => resolveNestedPage(webhookLoaders(context).attemptsOf, id, args),
    }),
  }),
});

builder.prismaObjectField(WebhookEndpoint, 'deliveries', (t) =>
  t.connection({
    type: WebhookDelivery,
    complexity: pageComplexity,
    description: 'What was delivered to it or waits, newest first.',
    resolve: ({ id }, args, context) => resolveNestedPage(webhookLoaders(context).deliveriesOf, id, args),
  }),
);

const WebhookDeliveryFilter = builder.inputType('WebhookDeliveryFilter', {
  description: 'Which deliveries to list. What is not named does not matter.',
  fields: (t) => ({
    state: t.field({ type: WebhookDeliveryState, description: 'Only deliveries that stand so now.' }),
    endpointId: t.id({ description: 'Only deliveries to this endpoint.' }),
    eventId: t.id({ description: 'Only deliveries of this event.' }),
    eventType: t.string({ description: 'Only deliveries of events of this type.' }),
  }),
});

builder.queryFields((t) => ({
  webhookDeliveries: t.connection({
    type: WebhookDelivery,
    complexity: pageComplexity,
    description: 'The webhook deliveries that whoever asks may see, newest first.',
    authScopes: { permission: 'webhook:read' },
    args: {
      workspaceId: t.arg.id({ description: 'Only deliveries of this workspace.' }),
      filter: t.arg({ type: WebhookDeliveryFilter, description: 'Only such deliveries.' }),
    },
    resolve: (_root, { workspaceId, filter, ...args }, { deps, actor }) => {
      const asked: Prisma.WebhookDeliveryWhereInput[] = [visibleWebhookDeliveries(actor.principal)];
      if (workspaceId != null) asked.push({ workspaceId });
      if (filter?.state != null) asked.push({ state: filter.state });
      if (filter?.endpointId != null) asked.push({ endpointId: filter.endpointId });
      if (filter?.eventId != null) asked.push({ eventId: filter.eventId });
      if (filter?.eventType != null) asked.push({ event: { type: filter.eventType } });
      return resolvePage(args, (keyset) => {
        const page = toPrismaPage(keyset);
        return deps.db.webhookDelivery.findMany({ ...page, where: { AND: [...asked, page.where] } });
      });
    },
  }),
  webhookDelivery: t.prismaField({
    type: WebhookDelivery,
    nullable: true,
    description: 'One webhook delivery. null where it does not exist or may not be seen.',
    authScopes: { permission: 'webhook:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the delivery.' }) },
    resolve: (query, _root, { id }, { deps, actor }) =>
      deps.db.webhookDelivery.findFirst({
        ...query,
        where: { AND: [{ id }, visibleWebhookDeliveries(actor.principal)] },
      }),
  }),
}));

const SendTestWebhookInput = builder.inputType('SendTestWebhookInput', {
  description: 'Which webhook endpoint to try.',
  fields: (t) => ({ endpointId: t.id({ required: true, description: 'The id of the endpoint.' }) }),
});

const RedeliverWebhookInput = builder.inputType('RedeliverWebhookInput', {
  description: 'What to deliver again.',
  fields: (t) => ({ deliveryId: t.id({ required: true, description: 'The id of the delivery.' }) }),
});

function deliveryPayload(name: string, description: string) {
  return builder.objectRef<{ delivery: typeof WebhookDelivery.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      delivery: t.field({
        type: WebhookDelivery,
        description: 'The delivery. Ask for it again to see how it went.',
        resolve: ({ delivery }) => delivery,
      }),
    }),
  });
}

builder.mutationFields((t) => ({
  sendTestWebhook: t.field({
    type: deliveryPayload('SendTestWebhookPayload', 'What is on its way.'),
    description:
      'Sends a webhook.test to an endpoint, whatever it listens for, signed and delivered like every other event.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: SendTestWebhookInput, required: true, description: 'What to try.' }) },
    errors: { types: [NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.sendTest(actor, input),
  }),
  redeliverWebhook: t.field({
    type: deliveryPayload('RedeliverWebhookPayload', 'What is on its way again.'),
    description:
      'Delivers an event to its endpoint again, under the same webhook-id and with all its attempts anew. What still waits is tried at once.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: RedeliverWebhookInput, required: true, description: 'What to deliver again.' }) },
    errors: { types: [NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.redeliver(actor, input),
  }),
}));
