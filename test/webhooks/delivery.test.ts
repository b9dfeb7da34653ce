import { expect, test } from 'vitest';
import { aCustomer, aWebhookServer, createEndpoint, publish, readDeliveries, rotateSigningSecret } from './customer.js';
import { aReceiver, isSignedWith, verifyDelivery } from './receiver.js';

test('a published event is delivered in the signed format of Standard Webhooks and its attempt is recorded', async () => {
  const server = await aWebhookServer();
  const customer = await aCustomer(server);
  const receiver = await aReceiver();
  const endpoint = await createEndpoint(customer, `${receiver.url}/hooks?a=1`);
  const event = await publish(server, customer.apiKeyId, 'job.finished', { jobId: 'ä' });
  await server.deliver();
  const [delivery] = receiver.received;
  expect(receiver.received).toHaveLength(1);
  expect(delivery?.path).toBe('/hooks?a=1');
  expect(delivery?.body).toBe(event.payload);
  expect(delivery?.headers).toMatchObject({
    'content-type': 'application/json',
    'webhook-id': event.id,
    'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
    'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
  });
  expect(delivery && verifyDelivery(customer.signingSecret, delivery)).toEqual({
    type: 'job.finished',
    timestamp: event.createdAt,
    data: { jobId: 'ä' },
  });
  expect(await readDeliveries(customer.client, { endpointId: endpoint.id })).toEqual([
    {
      id: expect.stringMatching(/^whd_/),
      state: 'DELIVERED',
      attemptCount: 1,
      nextAttemptAt: null,
      endedAt: expect.any(String),
      event,
      endpoint: { id: endpoint.id },
      attempts: {
        nodes: [
          {
            startedAt: expect.any(String),
            durationMs: expect.any(Number),
            status: 200,
            failure: null,
            responseStart: 'thanks',
          },
        ],
      },
    },
  ]);
});

test('a rotated signing secret signs immediately, and during an overlap both secrets sign', async () => {
  const server = await aWebhookServer();
  const customer = await aCustomer(server);
  const receiver = await aReceiver();
  await createEndpoint(customer, receiver.url, ['job.finished']);
  const deliverOne = async () => {
    await publish(server, customer.apiKeyId);
    await server.deliver();
    const delivery = receiver.received.at(-1);
    if (delivery === undefined) throw new Error('Nothing arrived.');
    return delivery;
  };
  const first = customer.signingSecret;
  const second = await rotateSigningSecret(customer.client, customer.apiKeyId);
  const afterSecond = await deliverOne();
  expect([first, second].map((secret) => isSignedWith(secret, afterSecond))).toEqual([false, true]);
  const third = await rotateSigningSecret(customer.client, customer.apiKeyId, 600);
  const during = await deliverOne();
  expect([first, second, third].map((secret) => isSignedWith(secret, during))).toEqual([false, true, true]);
  server.clock.advance(600_000);
  const after = await deliverOne();
  expect([second, third].map((secret) => isSignedWith(secret, after))).toEqual([false, true]);
});
