import { eventTypesMax, ownEventTypes } from '../../domain/events/event-types.js';
import { publishCustomEvent } from '../../domain/webhooks/custom-event.js';
import { redeliverWebhook, sendTestWebhook } from '../../domain/webhooks/deliveries.js';
import {
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  endpointsPerKeyMax,
  updateWebhookEndpoint,
} from '../../domain/webhooks/endpoints.js';
import { ConflictError, ForbiddenError, LimitReachedError, NotFoundError, ValidationError } from '../../errors.js';
import { builder } from '../builder.js';
import { commandField } from '../command-field.js';
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

commandField(createWebhookEndpoint, {
  description:
    'Creates a webhook endpoint for an API key of a product with signing secrets. It receives events from now on.',
  input: CreateWebhookEndpointInput,
  inputDescription: 'The endpoint to create.',
  payload: endpointPayload('CreateWebhookEndpointPayload', 'The created endpoint.'),
  errors: [ValidationError, NotFoundError, ForbiddenError, LimitReachedError, ConflictError],
});

commandField(updateWebhookEndpoint, {
  description: 'Changes the URL, event types or note of a webhook endpoint, or disables or enables it.',
  input: UpdateWebhookEndpointInput,
  inputDescription: 'The endpoint and its changes.',
  payload: endpointPayload('UpdateWebhookEndpointPayload', 'The changed endpoint.'),
  errors: [ValidationError, NotFoundError, ForbiddenError],
});

commandField(deleteWebhookEndpoint, {
  description: 'Deletes a webhook endpoint and cancels its pending deliveries.',
  input: DeleteWebhookEndpointInput,
  inputDescription: 'The endpoint to delete.',
  payload: DeleteWebhookEndpointPayload,
  errors: [NotFoundError, ForbiddenError],
});

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

commandField(sendTestWebhook, {
  description:
    'Sends a `webhook.test` event to an endpoint, whatever its event types. It is signed and delivered like every other event.',
  input: SendTestWebhookInput,
  inputDescription: 'The endpoint to test.',
  payload: deliveryPayload('SendTestWebhookPayload', 'The delivery of the test event.'),
  errors: [NotFoundError, ForbiddenError, ConflictError],
});

commandField(redeliverWebhook, {
  description:
    'Delivers an event to its endpoint again, with the same `webhook-id` and all attempts. A pending delivery is attempted at once.',
  input: RedeliverWebhookInput,
  inputDescription: 'The delivery to repeat.',
  payload: deliveryPayload('RedeliverWebhookPayload', 'The delivery that is repeated.'),
  errors: [NotFoundError, ForbiddenError, ConflictError],
});

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

commandField(publishCustomEvent, {
  description:
    "Publishes an event of the product to the webhook endpoints of a customer, signed and delivered like this server's own events. For services.",
  input: PublishEventInput,
  inputDescription: 'The event and its receiver.',
  payload: PublishEventPayload,
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError],
});
