import { describe, expect, test } from 'vitest';
import { leaseMs } from '../../src/domain/webhooks/claim.js';
import type { SendWebhook } from '../../src/domain/webhooks/send.js';
import { createWebhookWorker } from '../../src/domain/webhooks/worker.js';
import { sharedDatabase } from '../harness.js';
import {
  aCustomer,
  aWebhookServer,
  createEndpoint,
  deliverAll,
  publish,
  readDeliveries,
  type WebhookServer,
} from './customer.js';
import { aReceiver, verifyDelivery } from './receiver.js';

/** A worker that delivers with `send`. */
async function aWorkerThat(server: WebhookServer, send: SendWebhook, limits = {}) {
  const { run } = await sharedDatabase();
  return createWebhookWorker(server.services, { run, send, limits });
}

const delivered = { status: 200, failure: null, retryAfter: null, responseStart: '' } as const;
const never = new Promise<never>(() => undefined);

describe('a delivery claimed by a worker', () => {
  test('that is killed is sent by another worker within a minute', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId);
    const killed = await aWorkerThat(server, () => never);
    expect(await killed.claim()).toBe(1);
    await server.deliver();
    expect(receiver.received).toEqual([]);
    expect(leaseMs).toBeLessThan(60_000);
    server.clock.advance(leaseMs);
    await server.deliver();
    expect(receiver.received.map((arrived) => verifyDelivery(customer.signingSecret, arrived).type)).toEqual([
      'job.finished',
    ]);
  });

  test('whose lease has expired records only the attempt of the current holder of the lease', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const endpoint = await createEndpoint(customer, 'http://127.0.0.1:9/');
    await publish(server, customer.apiKeyId);
    let finish: () => void = () => undefined;
    const late = await aWorkerThat(
      server,
      () =>
        new Promise((resolve) => {
          finish = () => resolve({ ...delivered, status: 500, responseStart: 'late' });
        }),
    );
    await late.claim();
    server.clock.advance(leaseMs);
    await deliverAll(await aWorkerThat(server, async () => delivered));
    finish();
    await late.settled();
    expect(await readDeliveries(customer.client, { endpointId: endpoint.id })).toMatchObject([
      { state: 'DELIVERED', attemptCount: 1, attempts: { nodes: [{ status: 200 }] } },
    ]);
  });

  test('that stops gracefully is released immediately', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const receiver = await aReceiver();
    await createEndpoint(customer, receiver.url);
    await publish(server, customer.apiKeyId);
    const ending = await aWorkerThat(server, () => never);
    await ending.claim();
    await ending.stop();
    await server.deliver();
    expect(receiver.received).toHaveLength(1);
  }, 15_000);
});

test('concurrent workers claim each delivery once', async () => {
  const server = await aWebhookServer();
  const customer = await aCustomer(server);
  const urls = ['a', 'b', 'c'].map((path) => `http://127.0.0.1:9/${path}`);
  for (const url of urls) await createEndpoint(customer, url);
  for (let job = 0; job < 40; job += 1) await publish(server, customer.apiKeyId, 'job.finished', { job });
  const sent: string[] = [];
  const workers = await Promise.all(
    Array.from({ length: 6 }, () =>
      aWorkerThat(server, async ({ url, headers }) => {
        sent.push(`${headers['webhook-id']} ${url}`);
        return delivered;
      }),
    ),
  );
  await Promise.all(workers.map(deliverAll));
  expect(sent).toHaveLength(120);
  expect(new Set(sent).size).toBe(120);
});

describe('deliveries to a quick endpoint', () => {
  test('are not delayed by a slow endpoint with many pending deliveries', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    await createEndpoint(customer, 'http://127.0.0.1:9/slow', ['job.slow', 'job.finished']);
    await createEndpoint(customer, 'http://127.0.0.1:9/quick', ['job.finished']);
    for (let job = 0; job < 30; job += 1) await publish(server, customer.apiKeyId, 'job.slow', { job });
    for (let job = 0; job < 30; job += 1) await publish(server, customer.apiKeyId, 'job.finished', { job });
    const arrived: string[] = [];
    let slow = 0;
    const worker = await aWorkerThat(
      server,
      async ({ url, payload }) => {
        if (url.endsWith('/slow')) {
          slow += 1;
          return never;
        }
        arrived.push(payload);
        return delivered;
      },
      { attempts: 12, perEndpoint: 4 },
    );
    for (let claims = 0; claims < 12; claims += 1) {
      await worker.claim();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(slow).toBe(4);
    expect(arrived).toHaveLength(30);
  });

  test('are not delayed by many failing endpoints, which share a part of the attempts, one at a time each', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    for (const path of ['1', '2', '3', '4', '5', '6']) {
      await createEndpoint(customer, `http://127.0.0.1:9/hangs/${path}`, ['job.slow']);
    }
    await createEndpoint(customer, 'http://127.0.0.1:9/quick', ['job.finished']);
    const failOnce = await aWorkerThat(server, async () => ({ ...delivered, status: 500 }));
    await publish(server, customer.apiKeyId, 'job.slow');
    await deliverAll(failOnce);
    server.clock.advance(10_000);
    for (let job = 0; job < 5; job += 1) await publish(server, customer.apiKeyId, 'job.slow', { job });
    let hanging = 0;
    const arrived: string[] = [];
    const worker = await aWorkerThat(
      server,
      async ({ url, payload }) => {
        if (url.includes('hangs')) {
          hanging += 1;
          return never;
        }
        arrived.push(payload);
        return delivered;
      },
      { attempts: 8, failingAttempts: 4 },
    );
    await worker.claim();
    expect(hanging).toBe(4);
    for (let job = 0; job < 8; job += 1) await publish(server, customer.apiKeyId, 'job.finished', { job });
    await worker.claim();
    await worker.claim();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await worker.claim();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(arrived).toHaveLength(8);
    expect(hanging).toBe(4);
  });
});
