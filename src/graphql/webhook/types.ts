import { listWebhookDeliveries, listWebhookEndpoints } from '../../domain/webhooks/read.js';
import { ApiKey } from '../api-key/types.js';
import { builder } from '../builder.js';
import { WebhookDeliveryState, WebhookDisabledReason, WebhookFailure } from '../enums.js';
import { Node } from '../nodes.js';
import { pageComplexity, resolveNestedPage, resolvePage } from '../pages.js';

export const WebhookEndpoint = builder.prismaObject('WebhookEndpoint', {
  interfaces: [Node],
  description:
    'Where the events of a key are delivered, and those that concern all of its workspace. Each delivery is signed with the signing secret of the key.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this endpoint.' }),
    url: t.exposeString('url', { description: 'Where it is.' }),
    eventTypes: t.exposeStringList('eventTypes', { description: 'What it listens for. Empty: everything.' }),
    description: t.exposeString('description', { nullable: true, description: 'A note by whoever made it.' }),
    enabled: t.boolean({
      description: 'Whether events are delivered to it.',
      resolve: ({ disabledAt }) => disabledAt === null,
    }),
    disabledAt: t.expose('disabledAt', { type: 'DateTime', nullable: true, description: 'When it was disabled.' }),
    disabledReason: t.expose('disabledReason', {
      type: WebhookDisabledReason,
      nullable: true,
      description: 'Why it is disabled.',
    }),
    failingSince: t.expose('failingSince', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when nothing has succeeded; null after a success. After five days it is disabled.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    apiKey: t.field({
      type: ApiKey,
      description: 'The key whose events it gets, and whose signing secret signs them.',
      resolve: ({ apiKeyId }, _args, { loaders }) => loaders.apiKeysById.load(apiKeyId),
    }),
  }),
});

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
      resolve: ({ eventId }, _args, { loaders }) => loaders.webhookEventsById.load(eventId),
    }),
    endpoint: t.field({
      type: WebhookEndpoint,
      description: 'Where to.',
      resolve: ({ endpointId }, _args, { loaders }) => loaders.webhookEndpointsById.load(endpointId),
    }),
    attempts: t.connection({
      type: WebhookAttempt,
      complexity: pageComplexity,
      description: 'The attempts, newest first.',
      resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.attemptsOf, id, args),
    }),
  }),
});

builder.prismaObjectField(WebhookEndpoint, 'deliveries', (t) =>
  t.connection({
    type: WebhookDelivery,
    complexity: pageComplexity,
    description: 'What was delivered to it or waits, newest first.',
    resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.deliveriesOf, id, args),
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
  webhookEndpoints: t.connection({
    type: WebhookEndpoint,
    complexity: pageComplexity,
    description: 'The webhook endpoints that whoever asks may see, newest first.',
    authScopes: { permission: 'webhook:read' },
    args: {
      workspaceId: t.arg.id({ description: 'Only endpoints of keys of this workspace.' }),
      apiKeyId: t.arg.id({ description: 'Only endpoints of this key.' }),
    },
    resolve: (_root, { workspaceId, apiKeyId, ...args }, { deps, actor }) =>
      resolvePage(args, (page) => listWebhookEndpoints(deps.db, actor.principal, { workspaceId, apiKeyId }, page)),
  }),
  webhookEndpoint: t.field({
    type: WebhookEndpoint,
    nullable: true,
    description: 'One webhook endpoint. null where it does not exist or may not be seen.',
    authScopes: { permission: 'webhook:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the endpoint.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.nodes.WebhookEndpoint(id),
  }),
  webhookDeliveries: t.connection({
    type: WebhookDelivery,
    complexity: pageComplexity,
    description: 'The webhook deliveries that whoever asks may see, newest first.',
    authScopes: { permission: 'webhook:read' },
    args: {
      workspaceId: t.arg.id({ description: 'Only deliveries of this workspace.' }),
      filter: t.arg({ type: WebhookDeliveryFilter, description: 'Only such deliveries.' }),
    },
    resolve: (_root, { workspaceId, filter, ...args }, { deps, actor }) =>
      resolvePage(args, (page) => listWebhookDeliveries(deps.db, actor.principal, { ...filter, workspaceId }, page)),
  }),
  webhookDelivery: t.field({
    type: WebhookDelivery,
    nullable: true,
    description: 'One webhook delivery. null where it does not exist or may not be seen.',
    authScopes: { permission: 'webhook:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the delivery.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.nodes.WebhookDelivery(id),
  }),
}));
