import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { WebhookEvent } from './webhook-delivery.js';

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
