import { eventTypesMax, ownEventTypes } from '../../domain/events/event-types.js';
import { endpointsPerKeyMax } from '../../domain/webhooks/endpoints.js';
import { ConflictError, ForbiddenError, LimitReachedError, NotFoundError, ValidationError } from '../../errors.js';
import { builder } from '../builder.js';
import { WebhookDelivery, WebhookEndpoint, WebhookEvent } from './types.js';

const endpointId = 'Id of the endpoint.';
const url = 'HTTPS URL on a public address, without user name and password. At most 2,000 characters.';
const eventTypes = `Types of the events to receive, at most ${eventTypesMax}: ${ownEventTypes.join(', ')}, and types that the product publishes.`;
const description = 'Note, at most 500 characters.';

const CreateWebhookEndpointInput = builder.inputType('CreateWebhookEndpointInput', {
  description: 'A webhook endpoint to create.',
  fields: (t) => ({
    apiKeyId: t.id({
      required: true,
      description: `Id of the API key whose events the endpoint receives. At most ${endpointsPerKeyMax} endpoints per key.`,
    }),
    url: t.string({ required: true, description: url }),
    eventTypes: t.stringList({ description: `${eventTypes} Default or empty: all types.` }),
    description: t.string({ description }),
  }),
});

const UpdateWebhookEndpointInput = builder.inputType('UpdateWebhookEndpointInput', {
  description: 'Changes to a webhook endpoint. Omitted fields stay unchanged.',
  fields: (t) => ({
    endpointId: t.id({ required: true, description: endpointId }),
    url: t.string({ description: url }),
    eventTypes: t.stringList({ description: `${eventTypes} Empty: all types.` }),
    description: t.string({ description: `${description} Null: none.` }),
    enabled: t.boolean({
      description:
        'False: nothing is delivered, and pending deliveries are cancelled. True: events from now on are delivered.',
    }),
  }),
});

const DeleteWebhookEndpointInput = builder.inputType('DeleteWebhookEndpointInput', {
  description: 'A webhook endpoint to delete.',
  fields: (t) => ({ endpointId: t.id({ required: true, description: endpointId }) }),
});

function endpointPayload(name: string, description: string) {
  return builder.objectRef<{ endpoint: typeof WebhookEndpoint.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      endpoint: t.field({
        type: WebhookEndpoint,
        description: 'The endpoint after the change.',
        resolve: ({ endpoint }) => endpoint,
      }),
    }),
  });
}

const DeleteWebhookEndpointPayload = builder
  .objectRef<{ deletedEndpointId: string }>('DeleteWebhookEndpointPayload')
  .implement({
    description: 'The deleted endpoint.',
    fields: (t) => ({
      deletedEndpointId: t.exposeID('deletedEndpointId', { description: 'Id of the deleted endpoint.' }),
    }),
  });

builder.mutationFields((t) => ({
  createWebhookEndpoint: t.field({
    type: endpointPayload('CreateWebhookEndpointPayload', 'The created endpoint.'),
    description: 'Gives a key of a product with signing secrets an endpoint. It gets what happens from now on.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: CreateWebhookEndpointInput, required: true, description: 'What to create.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.createEndpoint(actor, input),
  }),
  updateWebhookEndpoint: t.field({
    type: endpointPayload('UpdateWebhookEndpointPayload', 'The changed endpoint.'),
    description: 'Moves an endpoint, changes what it listens for, or switches it off and on.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: UpdateWebhookEndpointInput, required: true, description: 'What to change.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.updateEndpoint(actor, input),
  }),
  deleteWebhookEndpoint: t.field({
    type: DeleteWebhookEndpointPayload,
    description: 'Takes an endpoint out of every list, and cancels what waits for it.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: DeleteWebhookEndpointInput, required: true, description: 'What to delete.' }) },
    errors: { types: [NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.deleteEndpoint(actor, input),
  }),
}));

const SendTestWebhookInput = builder.inputType('SendTestWebhookInput', {
  description: 'A webhook endpoint to test.',
  fields: (t) => ({ endpointId: t.id({ required: true, description: 'Id of the endpoint.' }) }),
});

const RedeliverWebhookInput = builder.inputType('RedeliverWebhookInput', {
  description: 'A delivery to repeat.',
  fields: (t) => ({ deliveryId: t.id({ required: true, description: 'Id of the delivery.' }) }),
});

function deliveryPayload(name: string, description: string) {
  return builder.objectRef<{ delivery: typeof WebhookDelivery.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      delivery: t.field({
        type: WebhookDelivery,
        description: 'The delivery. Query it again to see its outcome.',
        resolve: ({ delivery }) => delivery,
      }),
    }),
  });
}

builder.mutationFields((t) => ({
  sendTestWebhook: t.field({
    type: deliveryPayload('SendTestWebhookPayload', 'The delivery of the test event.'),
    description:
      'Sends a webhook.test to an endpoint, whatever it listens for, signed and delivered like every other event.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: SendTestWebhookInput, required: true, description: 'What to try.' }) },
    errors: { types: [NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.sendTest(actor, input),
  }),
  redeliverWebhook: t.field({
    type: deliveryPayload('RedeliverWebhookPayload', 'The delivery that is repeated.'),
    description:
      'Delivers an event to its endpoint again, under the same webhook-id and with all its attempts anew. What still waits is tried at once.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: RedeliverWebhookInput, required: true, description: 'What to deliver again.' }) },
    errors: { types: [NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.redeliver(actor, input),
  }),
}));

const PublishEventInput = builder.inputType('PublishEventInput', {
  description: 'An event of the product.',
  fields: (t) => ({
    apiKeyId: t.id({ description: 'Id of the API key whose endpoints receive the event. Give this or `workspaceId`.' }),
    workspaceId: t.id({
      description: 'Id of the workspace whose endpoints receive the event. Give this or `apiKeyId`.',
    }),
    type: t.string({
      required: true,
      description:
        'Type of the event, such as `job.finished`: at most 100 letters, digits, `_` and full stops between words. Types that begin like those of this server, such as `api_key`, are refused.',
    }),
    data: t.field({
      type: 'JSON',
      required: true,
      description: 'JSON object for the receiver, at most 64 KB. Recommended: about 20 KB.',
    }),
    idempotencyKey: t.string({
      description:
        'Key that the caller chooses, such as the id of a job. The same key in the same workspace publishes only once within 30 days.',
    }),
  }),
});

const PublishEventPayload = builder
  .objectRef<{ event: typeof WebhookEvent.$inferType; replayed: boolean }>('PublishEventPayload')
  .implement({
    description: 'The published event.',
    fields: (t) => ({
      event: t.field({ type: WebhookEvent, description: 'The event.', resolve: ({ event }) => event }),
      replayed: t.exposeBoolean('replayed', {
        description: 'Whether this is the result of an earlier call with the same idempotency key.',
      }),
    }),
  });

builder.mutationField('publishEvent', (t) =>
  t.field({
    type: PublishEventPayload,
    description:
      "Tells a customer of something that happened at the product, through the same signed path as this server's own events. For services.",
    authScopes: { permission: 'event:publish' },
    args: {
      input: t.arg({
        type: PublishEventInput,
        required: true,
        description: 'What happened, and who is to hear of it.',
      }),
    },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.webhooks.publish(actor, input),
  }),
);
