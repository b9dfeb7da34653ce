import { type GraphQLField, type GraphQLSchema, getNamedType, isUnionType } from 'graphql';
import { buildSchema } from '../../src/graphql/schema.js';
import { anOrganization, aPerson, join } from '../factories.js';
import { graphql } from '../generated/index.js';
import { expectMember } from '../harness.js';
import {
  aCharge,
  aDelivery,
  anEndpoint,
  anOldSecret,
  anotherKey,
  type PopulatedWorkspace,
} from './populated-workspace.js';

export const schema: GraphQLSchema = buildSchema({ mutationsPerMinute: 60 });

export type Variables = Record<string, unknown>;
type RootField = GraphQLField<unknown, unknown>;

/** All root fields, by name. */
export const rootFields: Readonly<Record<string, RootField>> = {
  ...schema.getQueryType()?.getFields(),
  ...schema.getMutationType()?.getFields(),
};

const inviteDocument = graphql(`
  mutation InviteOfSpecimens($input: InviteMemberInput!) {
    inviteMember(input: $input) {
      __typename
      ... on InviteMemberPayload { token invitation { id } }
      ... on Error { code message }
    }
  }
`);

/** Variables for each root field that its owner or a service may send. Consumed items are created anew. */
export const sampleVariables: Readonly<Record<string, (world: PopulatedWorkspace) => Variables | Promise<Variables>>> =
  {
    viewer: () => ({}),
    budget: () => ({}),
    products: () => ({}),
    workspaces: () => ({ first: 100, after: null, last: null, before: null }),
    workspace: ({ organizationId }) => ({ id: organizationId }),
    apiKeys: ({ organizationId }) => ({
      workspaceId: organizationId,
      filter: { status: 'ACTIVE', product: 'default', environment: 'LIVE' },
      first: 100,
    }),
    apiKey: ({ key }) => ({ id: key.id }),
    auditEvents: ({ organizationId, people }) => ({
      workspaceId: organizationId,
      filter: {
        action: 'workspace.created',
        subjectId: organizationId,
        actorKind: 'USER',
        actorId: people.owner.id,
        refused: false,
        from: '2020-01-01T00:00:00Z',
        to: '2999-01-01T00:00:00Z',
      },
      first: 100,
    }),
    authenticationFailures: () => ({ from: '2030-01-01T00:00:00Z', to: '2030-01-02T00:00:00Z' }),
    credits: ({ organizationId }) => ({ workspaceId: organizationId }),
    node: ({ organizationId }) => ({ id: organizationId }),
    nodes: ({ organizationId }) => ({ ids: [organizationId] }),

    webhookEndpoints: async (world) => {
      const own = await withAnotherKey(world);
      await anEndpoint(own);
      return { workspaceId: world.organizationId, apiKeyId: own.key.id, first: 100 };
    },
    webhookEndpoint: async (world) => ({ id: await anEndpointOfItsOwn(world) }),
    webhookDeliveries: async (world) => {
      const { eventId, endpointId } = await aDelivery(await withAnotherKey(world));
      return {
        workspaceId: world.organizationId,
        filter: { state: 'PENDING', endpointId, eventId, eventType: 'webhook.test' },
        first: 100,
      };
    },
    webhookDelivery: async (world) => ({ id: (await aDelivery(await withAnotherKey(world))).id }),

    createWorkspace: () => ({ input: { name: 'Made for a test' } }),
    updateWorkspace: ({ organizationId }) => ({ input: { workspaceId: organizationId, name: 'Renamed' } }),
    suspendWorkspace: async ({ people }) => ({
      input: { workspaceId: await anOrganization(people.owner), reason: 'Unpaid' },
    }),
    resumeWorkspace: async ({ people }) => ({ input: { workspaceId: await anOrganization(people.owner) } }),
    enableFeature: ({ organizationId }) => ({
      input: { workspaceId: organizationId, product: 'default', feature: 'exports' },
    }),
    disableFeature: ({ organizationId }) => ({
      input: { workspaceId: organizationId, product: 'default', feature: 'exports' },
    }),

    inviteMember: ({ organizationId }) => ({
      input: { workspaceId: organizationId, email: 'guest@example.com', role: 'MEMBER' },
    }),
    revokeInvitation: async ({ people, organizationId }) => {
      const { inviteMember } = await people.owner.client.run(inviteDocument, {
        input: { workspaceId: organizationId, email: 'guest@example.com', role: 'MEMBER' },
      });
      return { input: { invitationId: expectMember(inviteMember, 'InviteMemberPayload').invitation.id } };
    },
    // Addressed to the owner, so no other principal can accept it.
    acceptInvitation: async ({ people }) => {
      const workspaceId = await anOrganization(people.stranger, 'Welcoming');
      const { inviteMember } = await people.stranger.client.run(inviteDocument, {
        input: { workspaceId, email: people.owner.email, role: 'MEMBER' },
      });
      return { input: { token: expectMember(inviteMember, 'InviteMemberPayload').token } };
    },
    updateMember: async (world) => ({
      input: { memberId: await anotherMember(world), role: 'MEMBER', permissions: ['apiKey:create'] },
    }),
    removeMember: async (world) => ({ input: { memberId: await anotherMember(world) } }),

    createApiKey: ({ organizationId }) => ({
      input: {
        workspaceId: organizationId,
        name: 'new',
        product: 'default',
        environment: 'LIVE',
        permissions: ['data:read'],
        allowedOrigins: ['https://app.example.com'],
        spendLimit: { credits: 10, period: 'DAY' },
        expiresAt: '2999-01-31T12:00:00Z',
      },
    }),
    updateApiKey: async (world) => ({
      input: {
        apiKeyId: await anotherKey(world),
        name: 'renamed',
        enabled: true,
        permissions: ['data:read'],
        allowedOrigins: ['https://app.example.com'],
        spendLimit: { credits: 10, period: 'DAY' },
        expiresAt: '2999-01-31T12:00:00Z',
      },
    }),
    rotateApiKey: async (world) => ({ input: { apiKeyId: await anotherKey(world), overlapSeconds: 60 } }),
    retireSecret: async (world) => ({ input: { secretId: await anOldSecret(world) } }),
    revokeApiKey: async (world) => ({ input: { apiKeyId: await anotherKey(world), reason: 'Leaked' } }),
    deleteApiKey: async (world) => ({ input: { apiKeyId: await anotherKey(world) } }),
    rotateSigningSecret: ({ key }) => ({ input: { apiKeyId: key.id } }),

    createWebhookEndpoint: async (world) => ({
      input: {
        apiKeyId: await anotherKey(world),
        url: 'https://hooks.example.com/path?query=1',
        eventTypes: ['api_key.revoked', 'job.finished'],
        description: 'Ours',
      },
    }),
    updateWebhookEndpoint: async (world) => ({
      input: {
        endpointId: await anEndpointOfItsOwn(world),
        url: 'https://other.example.com/',
        eventTypes: ['job.finished'],
        description: 'Theirs',
        enabled: false,
      },
    }),
    deleteWebhookEndpoint: async (world) => ({ input: { endpointId: await anEndpointOfItsOwn(world) } }),
    sendTestWebhook: async (world) => ({ input: { endpointId: await anEndpointOfItsOwn(world) } }),
    redeliverWebhook: async (world) => ({ input: { deliveryId: (await aDelivery(await withAnotherKey(world))).id } }),
    publishEvent: ({ key }) => ({
      input: { apiKeyId: key.id, type: 'job.finished', data: { jobId: 1 }, idempotencyKey: crypto.randomUUID() },
    }),
    setCreditsLowAt: ({ organizationId }) => ({ input: { workspaceId: organizationId, credits: 10 } }),

    grantCredits: ({ organizationId }) => ({
      input: { workspaceId: organizationId, credits: 5, reason: 'Paid', idempotencyKey: crypto.randomUUID() },
    }),
    captureCharge: async (world) => ({ input: { chargeId: await aCharge(world, { hold: true }) } }),
    releaseCharge: async (world) => ({ input: { chargeId: await aCharge(world, { hold: true }) } }),
    refundCharge: async (world) => ({
      input: { chargeId: await aCharge(world), credits: 1, reason: 'Broken', idempotencyKey: crypto.randomUUID() },
    }),
    explainVerification: (world) => ({ input: aVerification(world) }),
    verifyApiKey: (world) => ({ input: aVerification(world) }),
    verifyApiKeys: (world) => ({ inputs: [aVerification(world)] }),
  };

/** A key can have ten endpoints, so each sample with an endpoint creates a key. */
async function withAnotherKey(world: PopulatedWorkspace): Promise<PopulatedWorkspace> {
  return { ...world, key: { ...world.key, id: await anotherKey(world) } };
}

/** Adds a new person to the organization. @returns the id of the membership. */
async function anotherMember({ server, people, organizationId }: PopulatedWorkspace): Promise<string> {
  return join(people.owner, organizationId, await aPerson(server), 'MEMBER');
}

async function anEndpointOfItsOwn(world: PopulatedWorkspace): Promise<string> {
  return anEndpoint(await withAnotherKey(world));
}

function aVerification({ key }: PopulatedWorkspace): Variables {
  return {
    credential: { bearer: key.secret },
    product: 'default',
    environment: 'LIVE',
    requires: ['data:read'],
    origin: 'https://app.example.com',
    charge: { action: 'request', quantity: 1, hold: false },
  };
}

/** Variables for which the owner, or a service, is authorized to call a root field. */
export async function sampleVariablesOf(name: string, world: PopulatedWorkspace): Promise<Variables> {
  const sample = sampleVariables[name];
  if (sample === undefined) throw new Error(`There is no sample of ${name}.`);
  return sample(world);
}

const querySelections: Readonly<Record<string, string>> = {
  viewer: '{ kind }',
  products: '{ slug }',
  workspaces: '{ nodes { id } }',
  workspace: '{ id }',
  apiKeys: '{ nodes { id } }',
  apiKey: '{ id }',
  auditEvents: '{ nodes { id } }',
  authenticationFailures: '{ hour }',
  credits: '{ balance }',
  node: '{ id }',
  nodes: '{ id }',
  explainVerification: '{ code }',
  webhookEndpoints: '{ nodes { id } }',
  webhookEndpoint: '{ id }',
  webhookDeliveries: '{ nodes { id } }',
  webhookDelivery: '{ id }',
  verifyApiKey: '{ code }',
  verifyApiKeys: '{ code }',
};

/** A document that calls one root field with its arguments as variables, and selects all fields of errors. */
export function documentOf(name: string): string {
  const field = getRootField(name);
  const operation = field === schema.getQueryType()?.getFields()[name] ? 'query' : 'mutation';
  const declared = field.args.map((arg) => `$${arg.name}: ${arg.type}`).join(', ');
  const given = field.args.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const parentheses = (text: string) => (text === '' ? '' : `(${text})`);
  return `${operation} ${parentheses(declared)} { ${name}${parentheses(given)} ${selectionOf(name, field)} }`;
}

export function getRootField(name: string): RootField {
  const field = rootFields[name];
  if (field === undefined) throw new Error(`The schema has no root field ${name}.`);
  return field;
}

function selectionOf(name: string, field: RootField): string {
  const type = getNamedType(field.type);
  if (!isUnionType(type)) return querySelections[name] ?? '{ __typename }';
  const own: Readonly<Record<string, string>> = {
    ForbiddenError: 'permission',
    LimitReachedError: 'limit',
    NotFoundError: 'field',
    ValidationError: 'field',
  };
  const members = type.getTypes().flatMap((member) => {
    const fields = own[member.name];
    return fields === undefined ? [] : [`... on ${member.name} { ${fields} }`];
  });
  return `{ __typename ... on Error { code message } ${members.join(' ')} }`;
}
