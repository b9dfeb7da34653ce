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

/** A mutation that takes the id of an endpoint or a delivery. @returns its result. */
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

describe('an endpoint', () => {
  test('is created as it was asked for', async () => {
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

  test('belongs to a key of a product with signing secrets, and not to one that is revoked', async () => {
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

  test('is one of ten at most, however many are created at once', async () => {
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

  test('is one of a hundred of its workspace at most', async () => {
    const server = await aServer();
    const { client, apiKeyId, workspaceId } = await aCustomer(server);
    for (let made = 0; made < 10; made += 1) {
      const { apiKey } = await createApiKey(client, { name: 'another', product: 'default' });
      await server.deps.db.webhookEndpoint.createMany({
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

  test('that is deleted is gone from every list, makes room, and what waits for it is cancelled', async () => {
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

  test('that is switched off hears of nothing, and on again of what happens from then on', async () => {
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

  test('that is moved gets at its new address what waited for the old one', async () => {
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

  test('is not seen by a plain member, unless they are given it', async () => {
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

test('a test is delivered whatever the endpoint listens for, and to it alone', async () => {
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
  test('is made again under the same id, and signed anew', async () => {
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

  test('that failed for good is made again with all its attempts', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver((_request, response, index) => response.writeHead(index === 0 ? 500 : 200).end());
    await createEndpoint(customer, receiver.url);
    const event = await publish(server, customer.apiKeyId);
    await server.deliver();
    const [delivery] = await readDeliveries(customer.client, { eventId: event.id });
    await server.deps.db.webhookDelivery.update({
      where: { id: delivery?.id ?? '' },
      data: { state: 'FAILED', endedAt: server.now(), attemptCount: 10 },
    });
    await call(customer.client, 'redeliverWebhook', { deliveryId: delivery?.id });
    await server.deliver();
    expect(await readDeliveries(customer.client, { eventId: event.id })).toMatchObject([{ state: 'DELIVERED' }]);
  });

  test('to a disabled endpoint is not made again before it is enabled', async () => {
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

  test('is found by its state, its event and its type', async () => {
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

describe('the overlap of a rotation', () => {
  test('says when the old secret ends, and lets no more than four sign at once', async () => {
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
    // Without an overlap all the old ones end.
    const secret = await rotateSigningSecret(customer.client, customer.apiKeyId, 0);
    const receiver = await aReceiver();
    await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId);
    await server.deliver();
    expect(receiver.received[0]?.headers['webhook-signature']?.split(' ')).toHaveLength(1);
    expect(receiver.received[0] && isSignedWith(secret, receiver.received[0])).toBe(true);
  });

  test('never lengthens that of an earlier one', async () => {
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

test('endpoints with their deliveries and attempts cost the same number of statements, however many there are', async () => {
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
