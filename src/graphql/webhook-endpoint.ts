import { visibleWebhookEndpoints } from '../domain/access/visibility.js';
import { eventTypesMax, ownEventTypes } from '../domain/events/event-types.js';
import { endpointsPerKeyMax } from '../domain/webhooks/endpoints.js';
import { ConflictError, ForbiddenError, LimitReachedError, NotFoundError, ValidationError } from '../errors.js';
import type { Prisma } from '../generated/prisma/client.js';
import { ApiKey } from './api-key.js';
import { builder } from './builder.js';
import { WebhookDisabledReason } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity } from './pages.js';
import { resolvePage, toPrismaPage } from './resolve-page.js';
import { webhookLoaders } from './webhook-loaders.js';

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
      resolve: ({ apiKeyId }, _args, context) => webhookLoaders(context).apiKeysById.load(apiKeyId),
    }),
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
    resolve: (_root, { workspaceId, apiKeyId, ...args }, { deps, actor }) => {
      const asked: Prisma.WebhookEndpointWhereInput[] = [visibleWebhookEndpoints(actor.principal)];
      if (workspaceId != null) asked.push({ workspaceId });
      if (apiKeyId != null) asked.push({ apiKeyId });
      return resolvePage(args, (keyset) => {
        const page = toPrismaPage(keyset);
        return deps.db.webhookEndpoint.findMany({ ...page, where: { AND: [...asked, page.where] } });
      });
    },
  }),
  webhookEndpoint: t.prismaField({
    type: WebhookEndpoint,
    nullable: true,
    description: 'One webhook endpoint. null where it does not exist or may not be seen.',
    authScopes: { permission: 'webhook:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the endpoint.' }) },
    resolve: (query, _root, { id }, { deps, actor }) =>
      deps.db.webhookEndpoint.findFirst({
        ...query,
        where: { AND: [{ id }, visibleWebhookEndpoints(actor.principal)] },
      }),
  }),
}));

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
