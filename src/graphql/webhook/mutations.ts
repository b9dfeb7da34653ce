import { eventTypesMax, ownEventTypes } from '../../domain/events/event-types.js';
import { endpointsPerKeyMax } from '../../domain/webhooks/endpoints.js';
import { ConflictError, ForbiddenError, LimitReachedError, NotFoundError, ValidationError } from '../../errors.js';
import { builder } from '../builder.js';
import { WebhookDelivery, WebhookEndpoint, WebhookEvent } from './types.js';

const endpointId = 'The id of the endpoint.';
const url = 'Where to deliver: https, without a name or password, and on a public address. At most 2,000 characters.';
const eventTypes = `What it is to listen for, at most ${eventTypesMax} types: ${ownEventTypes.join(', ')}, and those that the product publishes.`;
const description = 'A note for people, at most 500 characters.';

const CreateWebhookEndpointInput = builder.inputType('CreateWebhookEndpointInput', {
  description: 'A webhook endpoint to create.',
  fields: (t) => ({
    apiKeyId: t.id({
      required: true,
      description: `The key whose events it gets: at most ${endpointsPerKeyMax} each.`,
    }),
    url: t.string({ required: true, description: url }),
    eventTypes: t.stringList({ description: `${eventTypes} Without them, or empty: everything.` }),
    description: t.string({ description }),
  }),
});

const UpdateWebhookEndpointInput = builder.inputType('UpdateWebhookEndpointInput', {
  description: 'What to change of a webhook endpoint. What is not named stays.',
  fields: (t) => ({
    endpointId: t.id({ required: true, description: endpointId }),
    url: t.string({ description: url }),
    eventTypes: t.stringList({ description: `${eventTypes} Empty: everything.` }),
    description: t.string({ description: `${description} null: none.` }),
    enabled: t.boolean({
      description:
        'false: nothing is delivered to it, and what waits is cancelled. true: it begins anew, with what happens from now on.',
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
        description: 'The endpoint as it is now.',
        resolve: ({ endpoint }) => endpoint,
      }),
    }),
  });
}

const DeleteWebhookEndpointPayload = builder
  .objectRef<{ deletedEndpointId: string }>('DeleteWebhookEndpointPayload')
  .implement({
    description: 'Which endpoint is gone.',
    fields: (t) => ({
      deletedEndpointId: t.exposeID('deletedEndpointId', { description: 'The id that names nothing now.' }),
    }),
  });

builder.mutationFields((t) => ({
  createWebhookEndpoint: t.field({
    type: endpointPayload('CreateWebhookEndpointPayload', 'The new endpoint.'),
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

const PublishEventInput = builder.inputType('PublishEventInput', {
  description: 'What happened at the product.',
  fields: (t) => ({
    apiKeyId: t.id({ description: 'The key whose endpoints are to hear of it. This, or `workspaceId`.' }),
    workspaceId: t.id({ description: 'The workspace, the endpoints of all of whose keys are to hear of it.' }),
    type: t.string({
      required: true,
      description:
        "What happened, such as job.finished: at most 100 letters, digits and _, with full stops between the words. What begins like one of this server's own types, such as api_key, is refused.",
    }),
    data: t.field({
      type: 'JSON',
      required: true,
      description: 'An object with what the customer has to know: at most 64 KB, better some 20.',
    }),
    idempotencyKey: t.string({
      description:
        'Chosen by you, such as the id of a job: the same key in the same workspace publishes once in 30 days.',
    }),
  }),
});

const PublishEventPayload = builder
  .objectRef<{ event: typeof WebhookEvent.$inferType; replayed: boolean }>('PublishEventPayload')
  .implement({
    description: 'What is on its way to every endpoint that listens.',
    fields: (t) => ({
      event: t.field({ type: WebhookEvent, description: 'The event.', resolve: ({ event }) => event }),
      replayed: t.exposeBoolean('replayed', {
        description: 'Whether this repeats an earlier event with the same idempotency key.',
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
