import { describe, expect, test } from 'vitest';
import { newId } from '../../src/db/ids.js';
import { aMember, anOrganization, aPerson, createApiKey, grantCredits, revokeApiKey } from '../factories.js';
import { aServer, type Client, expectMember } from '../harness.js';
import {
  aCustomer,
  aWebhookServer,
  createEndpoint,
  publish,
  readDeliveries,
  rotateSigningSecret,
  tryCreateEndpoint,
  tryRotateSigningSecret,
  updateEndpoint,
} from '../webhooks/customer.js';
import { aReceiver, isSignedWith, verifyDelivery } from '../webhooks/receiver.js';
import { readStatements } from './read-statements.js';

const url = 'https://hooks.example.com/';

/** Calls a mutation that takes the id of an endpoint or a delivery. @returns its result. */
async function call(
  client: Client,
  mutation: string,
  input: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}`;
  const selections: Readonly<Record<string, string>> = {
    deleteWebhookEndpoint: 'deletedEndpointId',
    sendTestWebhook: 'delivery { id state event { type } }',
    redeliverWebhook: 'delivery { id state attemptCount event { id } }',
  };
  const { data, errors } = await client.send<{ result: Record<string, unknown> }>(
    `mutation ($input: ${type}Input!) { result: ${mutation}(input: $input) { __typename ... on ${type}Payload { ${selections[mutation]} } ... on Error { code message } } }`,
    { input },
  );
  expect(errors).toEqual([]);
  return data?.result ?? {};
}

async function listEndpoints(client: Client, apiKeyId: string): Promise<string[]> {
  const { data } = await client.send<{ webhookEndpoints: { nodes: { id: string }[] } }>(
    'query ($id: ID!) { webhookEndpoints(apiKeyId: $id) { nodes { id } } }',
    { id: apiKeyId },
  );
  return data?.webhookEndpoints.nodes.map(({ id }) => id) ?? [];
}

describe('a webhook endpoint', () => {
  test('is created with the URL, event types and description of the input', async () => {
    const server = await aServer();
    const { client, apiKeyId } = await aCustomer(server);
    const input = {
      apiKeyId,
      url: 'https://HOOKS.example.com',
      eventTypes: ['api_key.revoked', 'job.done', 'job.done'],
    };
    expect(await tryCreateEndpoint(client, { ...input, description: ' Ours ' })).toEqual({
      __typename: 'CreateWebhookEndpointPayload',
      endpoint: {
        id: expect.stringMatching(/^whe_[0-9a-f]{32}$/),
        url: 'https://hooks.example.com/',
        eventTypes: ['api_key.revoked', 'job.done'],
        description: 'Ours',
        enabled: true,
        disabledAt: null,
        disabledReason: null,
        failingSince: null,
        createdAt: expect.any(String),
        apiKey: { id: apiKeyId },
      },
    });
  });

  test('requires a product with signing secrets and a key that is not revoked', async () => {
    const server = await aServer();
    const { client } = await aPerson(server);
    const masko = await createApiKey(client, { name: 'masko', product: 'masko' });
    expect(await tryCreateEndpoint(client, { apiKeyId: masko.apiKey.id, url })).toMatchObject({
      code: 'CONFLICT',
      message: 'Keys of masko have no signing secret.',
    });
    const { apiKey } = await createApiKey(client, { name: 'revoked', product: 'default' });
    await revokeApiKey(client, apiKey.id);
    expect(await tryCreateEndpoint(client, { apiKeyId: apiKey.id, url })).toMatchObject({
      code: 'CONFLICT',
      message: 'The key is revoked.',
    });
  });

  test('is refused above ten per key, also for concurrent requests', async () => {
    const server = await aServer();
    const { client, apiKeyId } = await aCustomer(server);
    const results = await Promise.all(
      Array.from({ length: 14 }, (_, index) => tryCreateEndpoint(client, { apiKeyId, url: `${url}${index}` })),
    );
    const refused = results.filter(({ __typename }) => __typename !== 'CreateWebhookEndpointPayload');
    expect(refused).toEqual(
      Array(4).fill({
        __typename: 'LimitReachedError',
        limit: 10,
        code: 'LIMIT_REACHED',
        message: 'A key can have 10 webhook endpoints.',
      }),
    );
    expect(await listEndpoints(client, apiKeyId)).toHaveLength(10);
  });

  test('is refused above 100 per workspace', async () => {
    const server = await aServer();
    const { client, apiKeyId, workspaceId } = await aCustomer(server);
    for (let made = 0; made < 10; made += 1) {
      const { apiKey } = await createApiKey(client, { name: 'another', product: 'default' });
      await server.services.db.webhookEndpoint.createMany({
        data: Array.from({ length: 10 }, () => ({
          id: newId('webhookEndpoint'),
          workspaceId,
          apiKeyId: apiKey.id,
          url,
        })),
      });
    }
    expect(await tryCreateEndpoint(client, { apiKeyId, url })).toMatchObject({ code: 'LIMIT_REACHED', limit: 100 });
  });

  test('is removed from every list when it is deleted, and its pending deliveries are cancelled', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    const endpoint = await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId);
    expect(await call(customer.client, 'deleteWebhookEndpoint', { endpointId: endpoint.id })).toEqual({
      __typename: 'DeleteWebhookEndpointPayload',
      deletedEndpointId: endpoint.id,
    });
    await server.deliver();
    expect(receiver.received).toEqual([]);
    expect(await listEndpoints(customer.client, customer.apiKeyId)).toEqual([]);
    expect(await readDeliveries(customer.client, { endpointId: endpoint.id })).toEqual([]);
    expect(await call(customer.client, 'sendTestWebhook', { endpointId: endpoint.id })).toMatchObject({
      code: 'NOT_FOUND',
      message: 'Webhook endpoint not found.',
    });
  });

  test('receives no events while it is disabled, and after it is enabled only later ones', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    const { id: endpointId } = await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId, 'job.before');
    expect(await updateEndpoint(customer.client, { endpointId, enabled: false })).toMatchObject({
      enabled: false,
      disabledReason: 'REQUESTED',
    });
    await publish(server, customer.apiKeyId, 'job.meanwhile');
    expect(await call(customer.client, 'sendTestWebhook', { endpointId })).toMatchObject({ code: 'CONFLICT' });
    await updateEndpoint(customer.client, { endpointId, enabled: true });
    await publish(server, customer.apiKeyId, 'job.after');
    await server.deliver();
    expect(receiver.received.map((arrived) => verifyDelivery(customer.signingSecret, arrived).type)).toEqual([
      'job.after',
    ]);
  });

  test('receives pending deliveries at its new URL after a change of the URL', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    const { id: endpointId } = await createEndpoint(customer, 'http://127.0.0.1:9/');
    await publish(server, customer.apiKeyId);
    expect(await updateEndpoint(customer.client, { endpointId, url: receiver.url, description: null })).toMatchObject({
      url: `${receiver.url}/`,
      description: null,
    });
    await server.deliver();
    expect(receiver.received).toHaveLength(1);
  });

  test('is visible to a plain member only with the permission webhook:read', async () => {
    const server = await aServer();
    const owner = await aPerson(server);
    const workspaceId = await anOrganization(owner);
    const { apiKey } = await createApiKey(owner.client, { workspaceId, name: 'ci', product: 'default' });
    const { client, memberId } = await aMember(server, owner, workspaceId, 'MEMBER');
    expectMember(await tryCreateEndpoint(owner.client, { apiKeyId: apiKey.id, url }), 'CreateWebhookEndpointPayload');
    const give = (permissions: string[]) =>
      owner.client.send('mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { __typename } }', {
        input: { memberId, permissions },
      });
    expect(await listEndpoints(client, apiKey.id)).toEqual([]);
    await give(['webhook:read']);
    expect(await listEndpoints(client, apiKey.id)).toHaveLength(1);
    expect(await tryCreateEndpoint(client, { apiKeyId: apiKey.id, url })).toMatchObject({ code: 'FORBIDDEN' });
    await give(['webhook:manage']);
    expectMember(await tryCreateEndpoint(client, { apiKeyId: apiKey.id, url }), 'CreateWebhookEndpointPayload');
  });
});

test('a test event is delivered to its endpoint only, even if the endpoint does not select webhook.test', async () => {
  const server = await aWebhookServer();
  const customer = await aCustomer(server);
  const [receiver, other] = [await aReceiver(), await aReceiver()];
  const { id: endpointId } = await createEndpoint(customer, receiver.url, ['job.finished']);
  await createEndpoint(customer, other.url);
  expect(await call(customer.client, 'sendTestWebhook', { endpointId })).toEqual({
    __typename: 'SendTestWebhookPayload',
    delivery: { id: expect.stringMatching(/^whd_/), state: 'PENDING', event: { type: 'webhook.test' } },
  });
  await server.deliver();
  expect(receiver.received.map((arrived) => verifyDelivery(customer.signingSecret, arrived))).toEqual([
    {
      type: 'webhook.test',
      timestamp: expect.any(String),
      data: { workspaceId: customer.workspaceId, apiKeyId: customer.apiKeyId, endpointId },
    },
  ]);
  expect(other.received).toEqual([]);
});

describe('a delivery', () => {
  test('is repeated with the same id and a new signature', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    const endpoint = await createEndpoint(customer, receiver.url, ['job.finished']);
    const event = await publish(server, customer.apiKeyId);
    await server.deliver();
    const [delivery] = await readDeliveries(customer.client, { eventId: event.id });
    const secret = await rotateSigningSecret(customer.client, customer.apiKeyId);
    expect(await call(customer.client, 'redeliverWebhook', { deliveryId: delivery?.id })).toEqual({
      __typename: 'RedeliverWebhookPayload',
      delivery: { id: delivery?.id, state: 'PENDING', attemptCount: 0, event: { id: event.id } },
    });
    await server.deliver();
    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([event.id, event.id]);
    expect(receiver.received.map((arrived) => isSignedWith(secret, arrived))).toEqual([false, true]);
    const [again] = await readDeliveries(customer.client, { endpointId: endpoint.id });
    expect(again).toMatchObject({ state: 'DELIVERED', attemptCount: 1 });
    expect(again?.attempts.nodes).toHaveLength(2);
  });

  test('that failed permanently is repeated with the full number of attempts', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver((_request, response, index) => response.writeHead(index === 0 ? 500 : 200).end());
    await createEndpoint(customer, receiver.url);
    const event = await publish(server, customer.apiKeyId);
    await server.deliver();
    const [delivery] = await readDeliveries(customer.client, { eventId: event.id });
    await server.services.db.webhookDelivery.update({
      where: { id: delivery?.id ?? '' },
      data: { state: 'FAILED', endedAt: server.now(), attemptCount: 10 },
    });
    await call(customer.client, 'redeliverWebhook', { deliveryId: delivery?.id });
    await server.deliver();
    expect(await readDeliveries(customer.client, { eventId: event.id })).toMatchObject([{ state: 'DELIVERED' }]);
  });

  test('to a disabled endpoint is repeated only after the endpoint is enabled', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    const { id: endpointId } = await createEndpoint(customer, receiver.url);
    const event = await publish(server, customer.apiKeyId);
    await updateEndpoint(customer.client, { endpointId, enabled: false });
    const [delivery] = await readDeliveries(customer.client, { eventId: event.id });
    expect(delivery?.state).toBe('CANCELLED');
    const redeliver = () => call(customer.client, 'redeliverWebhook', { deliveryId: delivery?.id });
    expect(await redeliver()).toMatchObject({ code: 'CONFLICT' });
    await updateEndpoint(customer.client, { endpointId, enabled: true });
    expect(await redeliver()).toMatchObject({ __typename: 'RedeliverWebhookPayload' });
    await server.deliver();
    expect(receiver.received).toHaveLength(1);
  });

  test('is found by its state, event and event type', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    const { id: endpointId } = await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId, 'job.finished');
    await server.deliver();
    await grantCredits(server, customer.workspaceId, 1);
    const find = async (filter: Parameters<typeof readDeliveries>[1]) =>
      (await readDeliveries(customer.client, { endpointId, ...filter })).map(({ event }) => event.type);
    expect(await find({})).toEqual(['credits.granted', 'job.finished']);
    expect(await find({ state: 'DELIVERED' })).toEqual(['job.finished']);
    expect(await find({ state: 'PENDING' })).toEqual(['credits.granted']);
    expect(await find({ eventType: 'credits.granted' })).toEqual(['credits.granted']);
    expect(await find({ state: 'FAILED' })).toEqual([]);
  });
});

describe('the overlap of a signing secret rotation', () => {
  test('determines when the old secret retires, and at most four secrets are valid at the same time', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const rotated = expectMember(
      await tryRotateSigningSecret(customer.client, customer.apiKeyId, 3_600),
      'RotateSigningSecretPayload',
    );
    const overlapMs = Date.parse(rotated.oldSigningSecretRetiresAt) - Date.parse(rotated.signingSecretRotatedAt);
    expect(overlapMs).toBe(3_600_000);
    await rotateSigningSecret(customer.client, customer.apiKeyId, 3_600);
    await rotateSigningSecret(customer.client, customer.apiKeyId, 3_600);
    expect(await tryRotateSigningSecret(customer.client, customer.apiKeyId, 3_600)).toEqual({
      __typename: 'LimitReachedError',
      limit: 4,
      code: 'LIMIT_REACHED',
      message: expect.stringContaining('4 signing secrets of a key are valid at the same time'),
    });
    // Without an overlap, all old secrets retire immediately.
    const secret = await rotateSigningSecret(customer.client, customer.apiKeyId, 0);
    const receiver = await aReceiver();
    await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId);
    await server.deliver();
    expect(receiver.received[0]?.headers['webhook-signature']?.split(' ')).toHaveLength(1);
    expect(receiver.received[0] && isSignedWith(secret, receiver.received[0])).toBe(true);
  });

  test('never extends the overlap of an earlier rotation', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    await rotateSigningSecret(customer.client, customer.apiKeyId, 60);
    await rotateSigningSecret(customer.client, customer.apiKeyId, 3_600);
    server.clock.advance(61_000);
    const receiver = await aReceiver();
    await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId);
    await server.deliver();
    expect(receiver.received[0]?.headers['webhook-signature']?.split(' ')).toHaveLength(2);
    expect(receiver.received[0] && isSignedWith(customer.signingSecret, receiver.received[0])).toBe(false);
  });
});

test('deliveries and attempts of endpoints take the same number of statements, however many there are', async () => {
  const server = await aWebhookServer();
  const receiver = await aReceiver();
  const document =
    '{ webhookEndpoints { nodes { url apiKey { name } deliveries { nodes { state event { type } endpoint { url } attempts { nodes { status } } } } } } }';
  const counts: number[] = [];
  for (const endpoints of [1, 4]) {
    const customer = await aCustomer(server);
    for (let made = 0; made < endpoints; made += 1) await createEndpoint(customer, `${receiver.url}/${made}`);
    for (let made = 0; made < endpoints; made += 1) await publish(server, customer.apiKeyId);
    await server.deliver();
    const statements = await readStatements(async () =>
      expect((await customer.client.send(document)).errors).toEqual([]),
    );
    counts.push(statements.length);
  }
  expect(counts[1]).toBe(counts[0]);
});
