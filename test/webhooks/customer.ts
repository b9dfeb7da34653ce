import { createAddressPolicy } from '../../src/domain/webhooks/address.js';
import { createSender, type SendOptions } from '../../src/domain/webhooks/send.js';
import { createWebhookWorker, type WebhookWorker, type WorkerOptions } from '../../src/domain/webhooks/worker.js';
import { aPerson, createApiKey, type Person } from '../factories.js';
import type {
  CreateWebhookEndpointInput,
  PublishEventInput,
  UpdateWebhookEndpointInput,
  WebhookDeliveryFilter,
} from '../generated/graphql.js';
import { graphql } from '../generated/index.js';
import { type Client, expectMember, sharedDatabase, startServer, type TestServer } from '../harness.js';

const createEndpointDocument = graphql(`
  mutation CreateEndpointOfWebhooks($input: CreateWebhookEndpointInput!) {
    createWebhookEndpoint(input: $input) {
      __typename
      ... on CreateWebhookEndpointPayload {
        endpoint { id url eventTypes description enabled disabledAt disabledReason failingSince createdAt apiKey { id } }
      }
      ... on ValidationError { field }
      ... on LimitReachedError { limit }
      ... on Error { code message }
    }
  }
`);

const updateEndpointDocument = graphql(`
  mutation UpdateEndpointOfWebhooks($input: UpdateWebhookEndpointInput!) {
    updateWebhookEndpoint(input: $input) {
      __typename
      ... on UpdateWebhookEndpointPayload {
        endpoint { id url eventTypes description enabled disabledAt disabledReason failingSince }
      }
      ... on Error { code message }
    }
  }
`);

const endpointDocument = graphql(`
  query EndpointOfWebhooks($id: ID!) {
    webhookEndpoint(id: $id) { id enabled disabledAt disabledReason failingSince }
  }
`);

const deliveriesDocument = graphql(`
  query DeliveriesOfWebhooks($filter: WebhookDeliveryFilter) {
    webhookDeliveries(filter: $filter, first: 100) {
      nodes {
        id
        state
        attemptCount
        nextAttemptAt
        endedAt
        event { id type payload createdAt }
        endpoint { id }
        attempts { nodes { startedAt durationMs status failure responseStart } }
      }
    }
  }
`);

const publishDocument = graphql(`
  mutation PublishOfWebhooks($input: PublishEventInput!) {
    publishEvent(input: $input) {
      __typename
      ... on PublishEventPayload { replayed event { id type payload createdAt } }
      ... on ValidationError { field }
      ... on Error { code message }
    }
  }
`);

const rotateDocument = graphql(`
  mutation RotateOfWebhooks($input: RotateSigningSecretInput!) {
    rotateSigningSecret(input: $input) {
      __typename
      ... on RotateSigningSecretPayload { signingSecret signingSecretRotatedAt oldSigningSecretRetiresAt }
      ... on ValidationError { field }
      ... on LimitReachedError { limit }
      ... on Error { code message }
    }
  }
`);

/** A separate server with a clock that tests move, which delivers to loopback on `deliver`. */
export interface WebhookServer extends TestServer {
  /** The current time of the clock of the server. */
  now(): Date;
  /** Another worker on the same database. */
  aWorker(options?: Partial<WorkerOptions> & Partial<SendOptions>): Promise<WebhookWorker>;
  /** Delivers until nothing is due. */
  deliver(): Promise<void>;
}

/** Timeout of an attempt in these tests, in milliseconds. */
export const timeoutMs = 2_000;

export async function aWebhookServer(options: Parameters<typeof startServer>[0] = {}): Promise<WebhookServer> {
  const server = await startServer({ products: ['default', 'masko'], webhooksAllowPrivate: true, ...options });
  const { run } = await sharedDatabase();
  // Cancels what earlier tests left pending: a worker would claim it, because all tests share one database.
  await server.services.db.webhookDelivery.updateMany({
    where: { state: 'PENDING' },
    data: { state: 'CANCELLED', endedAt: server.services.clock(), leaseId: null },
  });
  const aWorker: WebhookServer['aWorker'] = async (given = {}) =>
    createWebhookWorker(server.services, {
      run,
      random: () => 0.5,
      send: createSender({ addresses: createAddressPolicy({ allowsPrivate: true }), timeoutMs, ...given }),
      ...given,
    });
  const worker = await aWorker();
  return {
    ...server,
    now: () => server.services.clock(),
    aWorker,
    deliver: () => deliverAll(worker),
  };
}

/** Claims and delivers until a claim finds nothing. */
export async function deliverAll(worker: WebhookWorker): Promise<void> {
  while ((await worker.claim()) > 0) await worker.settled();
}

/** A person with a key, and the secret that signs its webhooks. */
export interface Customer {
  readonly person: Person;
  readonly client: Client;
  readonly workspaceId: string;
  readonly apiKeyId: string;
  readonly secret: string;
  readonly signingSecret: string;
}

export async function aCustomer(server: TestServer): Promise<Customer> {
  const person = await aPerson(server);
  const { apiKey, secret, signingSecret } = await createApiKey(person.client, { name: 'ci', product: 'default' });
  return {
    person,
    client: person.client,
    workspaceId: person.personalWorkspaceId,
    apiKeyId: apiKey.id,
    secret,
    signingSecret: signingSecret ?? '',
  };
}

export async function tryCreateEndpoint(client: Client, input: CreateWebhookEndpointInput) {
  return (await client.run(createEndpointDocument, { input })).createWebhookEndpoint;
}

/** Creates an endpoint of a key. @throws Error if it is refused. */
export async function createEndpoint({ client, apiKeyId }: Customer, url: string, eventTypes: string[] = []) {
  const result = await tryCreateEndpoint(client, { apiKeyId, url, eventTypes });
  return expectMember(result, 'CreateWebhookEndpointPayload').endpoint;
}

export async function updateEndpoint(client: Client, input: UpdateWebhookEndpointInput) {
  const { updateWebhookEndpoint } = await client.run(updateEndpointDocument, { input });
  return expectMember(updateWebhookEndpoint, 'UpdateWebhookEndpointPayload').endpoint;
}

export async function readEndpoint(client: Client, id: string) {
  return (await client.run(endpointDocument, { id })).webhookEndpoint;
}

export async function readDeliveries(client: Client, filter: WebhookDeliveryFilter) {
  return (await client.run(deliveriesDocument, { filter })).webhookDeliveries.nodes;
}

export async function tryPublish(client: Client, input: PublishEventInput) {
  return (await client.run(publishDocument, { input })).publishEvent;
}

/** The product's backend publishes an event to a key. */
export async function publish(
  server: TestServer,
  apiKeyId: string,
  type = 'job.finished',
  data: object = { jobId: 1 },
) {
  return expectMember(await tryPublish(server.backend, { apiKeyId, type, data }), 'PublishEventPayload').event;
}

export async function tryRotateSigningSecret(client: Client, apiKeyId: string, overlapSeconds?: number) {
  const input = { apiKeyId, ...(overlapSeconds !== undefined && { overlapSeconds }) };
  return (await client.run(rotateDocument, { input })).rotateSigningSecret;
}

/** @returns the new secret. */
export async function rotateSigningSecret(client: Client, apiKeyId: string, overlapSeconds?: number): Promise<string> {
  const result = await tryRotateSigningSecret(client, apiKeyId, overlapSeconds);
  return expectMember(result, 'RotateSigningSecretPayload').signingSecret;
}
