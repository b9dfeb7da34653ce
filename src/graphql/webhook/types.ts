import { listWebhookDeliveries, listWebhookEndpoints } from '../../domain/webhooks/read.js';
import { ApiKey } from '../api-key/types.js';
import { builder } from '../builder.js';
import { WebhookDeliveryState, WebhookDisabledReason, WebhookFailure } from '../enums.js';
import { Node } from '../nodes.js';
import { pageComplexity, resolveNestedPage, resolvePage } from '../pages.js';

export const WebhookEndpoint = builder.prismaObject('WebhookEndpoint', {
  interfaces: [Node],
  description:
    'A URL that receives the events of one API key and those of its workspace. Deliveries are signed with the signing secret of the key.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    url: t.exposeString('url', { description: 'URL to which events are delivered.' }),
    eventTypes: t.exposeStringList('eventTypes', {
      description: 'Types of the events that it receives. Empty: all types.',
    }),
    description: t.exposeString('description', {
      nullable: true,
      description: 'Note, at most 500 characters. Null: none.',
    }),
    enabled: t.boolean({
      description: 'Whether events are delivered to it.',
      resolve: ({ disabledAt }) => disabledAt === null,
    }),
    disabledAt: t.expose('disabledAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time at which it was disabled. Null: it is enabled.',
    }),
    disabledReason: t.expose('disabledReason', {
      type: WebhookDisabledReason,
      nullable: true,
      description: 'Reason why it is disabled. Null: it is enabled.',
    }),
    failingSince: t.expose('failingSince', {
      type: 'DateTime',
      nullable: true,
      description:
        'Time since which no delivery succeeded. Null: the last one did. The endpoint is disabled after five days.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of creation.' }),
    apiKey: t.field({
      type: ApiKey,
      description: 'The API key whose events it receives, and whose signing secret signs the deliveries.',
      resolve: ({ apiKeyId }, _args, { loaders }) => loaders.apiKeysById.load(apiKeyId),
    }),
  }),
});

export const WebhookEvent = builder.prismaObject('WebhookEvent', {
  interfaces: [Node],
  description: 'An event that is delivered to webhook endpoints. Kept for 30 days.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description:
        'Unique id. It is the `webhook-id` of every delivery of this event, so that receivers recognise repetitions.',
    }),
    type: t.exposeString('type', { description: 'Type of the event, such as `api_key.revoked`.' }),
    payload: t.exposeString('payload', { description: 'Request body, exactly as it is signed and sent.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of the event.' }),
  }),
});

const WebhookAttempt = builder.prismaObject('WebhookAttempt', {
  interfaces: [Node],
  description: 'One HTTP request to an endpoint and its outcome.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'Start of the request.' }),
    durationMs: t.exposeInt('durationMs', { description: 'Duration in milliseconds.' }),
    status: t.exposeInt('status', { nullable: true, description: 'HTTP status of the response. Null: no response.' }),
    failure: t.expose('failure', {
      type: WebhookFailure,
      nullable: true,
      description: 'Reason why there was no response. Null: there was one, whatever its status.',
    }),
    responseStart: t.exposeString('responseStart', {
      nullable: true,
      description: 'Start of the response body, at most 1,000 characters. Null: no response.',
    }),
  }),
});

export const WebhookDelivery = builder.prismaObject('WebhookDelivery', {
  interfaces: [Node],
  description: 'The delivery of one event to one endpoint.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    state: t.expose('state', { type: WebhookDeliveryState, description: 'Current state.' }),
    attemptCount: t.exposeInt('attemptCount', {
      description: 'Number of attempts since the delivery was created or last requested again.',
    }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Time of the next attempt. Null: an attempt is running, or the delivery has ended.',
      resolve: ({ state, leaseId, dueAt }) => (state === 'PENDING' && leaseId === null ? dueAt : null),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of creation.' }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time at which it was delivered, failed or cancelled. Null: still pending.',
    }),
    event: t.field({
      type: WebhookEvent,
      description: 'The delivered event.',
      resolve: ({ eventId }, _args, { loaders }) => loaders.webhookEventsById.load(eventId),
    }),
    endpoint: t.field({
      type: WebhookEndpoint,
      description: 'The receiving endpoint.',
      resolve: ({ endpointId }, _args, { loaders }) => loaders.webhookEndpointsById.load(endpointId),
    }),
    attempts: t.connection({
      type: WebhookAttempt,
      complexity: pageComplexity,
      description: 'Attempts, newest first.',
      resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.attemptsOf, id, args),
    }),
  }),
});

builder.prismaObjectField(WebhookEndpoint, 'deliveries', (t) =>
  t.connection({
    type: WebhookDelivery,
    complexity: pageComplexity,
    description: 'Deliveries to this endpoint, newest first.',
    resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.deliveriesOf, id, args),
  }),
);

const WebhookDeliveryFilter = builder.inputType('WebhookDeliveryFilter', {
  description: 'Conditions that listed deliveries meet. Omitted fields are ignored.',
  fields: (t) => ({
    state: t.field({ type: WebhookDeliveryState, description: 'Only deliveries in this state.' }),
    endpointId: t.id({ description: 'Only deliveries to this endpoint.' }),
    eventId: t.id({ description: 'Only deliveries of this event.' }),
    eventType: t.string({ description: 'Only deliveries of events of this type.' }),
  }),
});

builder.queryFields((t) => ({
  webhookEndpoints: t.connection({
    type: WebhookEndpoint,
    complexity: pageComplexity,
    description: 'Webhook endpoints that are visible to the caller, newest first.',
    authScopes: { permission: 'webhook:read' },
    args: {
      workspaceId: t.arg.id({ description: 'Only endpoints of this workspace.' }),
      apiKeyId: t.arg.id({ description: 'Only endpoints of this API key.' }),
    },
    resolve: (_root, { workspaceId, apiKeyId, ...args }, { services, actor }) =>
      resolvePage(args, (page) => listWebhookEndpoints(services.db, actor.principal, { workspaceId, apiKeyId }, page)),
  }),
  webhookEndpoint: t.field({
    type: WebhookEndpoint,
    nullable: true,
    description: 'A webhook endpoint by its id. Null: it does not exist or is not visible to the caller.',
    authScopes: { permission: 'webhook:read' },
    args: { id: t.arg.id({ required: true, description: 'Id of the endpoint.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.nodes.WebhookEndpoint(id),
  }),
  webhookDeliveries: t.connection({
    type: WebhookDelivery,
    complexity: pageComplexity,
    description: 'Webhook deliveries that are visible to the caller, newest first.',
    authScopes: { permission: 'webhook:read' },
    args: {
      workspaceId: t.arg.id({ description: 'Only deliveries of this workspace.' }),
      filter: t.arg({ type: WebhookDeliveryFilter, description: 'Only deliveries that meet these conditions.' }),
    },
    resolve: (_root, { workspaceId, filter, ...args }, { services, actor }) =>
      resolvePage(args, (page) =>
        listWebhookDeliveries(services.db, actor.principal, { ...filter, workspaceId }, page),
      ),
  }),
  webhookDelivery: t.field({
    type: WebhookDelivery,
    nullable: true,
    description: 'A webhook delivery by its id. Null: it does not exist or is not visible to the caller.',
    authScopes: { permission: 'webhook:read' },
    args: { id: t.arg.id({ required: true, description: 'Id of the delivery.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.nodes.WebhookDelivery(id),
  }),
}));
