import { ForbiddenError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { Credits } from './credit.js';
import { webhookLoaders } from './webhook-loaders.js';

builder.objectField(Credits, 'lowAt', (t) =>
  t.int({
    nullable: true,
    description: 'At how many available credits `credits.low` is told to webhook endpoints; null: never.',
    resolve: ({ workspaceId }, _args, context) => webhookLoaders(context).lowAtOf.load(workspaceId),
  }),
);

const SetCreditsLowAtInput = builder.inputType('SetCreditsLowAtInput', {
  description: 'When credits are few.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: 'Whose credits.' }),
    credits: t.int({
      description: 'How many available credits are few: at least 0. Without it: `credits.low` is not told.',
    }),
  }),
});

const SetCreditsLowAtPayload = builder.objectRef<{ workspaceId: string }>('SetCreditsLowAtPayload').implement({
  description: 'The credits with their new line.',
  fields: (t) => ({
    credits: t.field({
      type: Credits,
      description: 'The credits.',
      resolve: ({ workspaceId }) => ({ workspaceId }),
    }),
  }),
});

builder.mutationField('setCreditsLowAt', (t) =>
  t.field({
    type: SetCreditsLowAtPayload,
    description: 'Says at how many credits webhook endpoints are told that they become few.',
    authScopes: { permission: 'webhook:manage' },
    args: { input: t.arg({ type: SetCreditsLowAtInput, required: true, description: 'Whose, and how many.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.credits.setLowAt(actor, input),
  }),
);
