import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { decideNextStep } from '../../src/domain/webhooks/schedule.js';
import { webhookRetrySecondsDefault } from '../../src/products/product.js';
import {
  aCustomer,
  aWebhookServer,
  createEndpoint,
  publish,
  readDeliveries,
  readEndpoint,
  timeoutMs,
  updateEndpoint,
} from './customer.js';
import { type Answer, aReceiver, verifyDelivery } from './receiver.js';

const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;

/** A customer with an endpoint that responds with `answer`, and one pending event. */
async function anAnswer(answer: Answer) {
  const server = await aWebhookServer();
  const customer = await aCustomer(server);
  const receiver = await aReceiver(answer);
  const endpoint = await createEndpoint(customer, receiver.url);
  await publish(server, customer.apiKeyId);
  return {
    server,
    customer,
    receiver,
    endpoint,
    readEndpoint: () => readEndpoint(customer.client, endpoint.id),
    async readDelivery() {
      const [delivery] = await readDeliveries(customer.client, { endpointId: endpoint.id, eventType: 'job.finished' });
      if (delivery === undefined) throw new Error('There is no delivery.');
      return delivery;
    },
    /** Milliseconds until the next attempt. */
    async waitMs() {
      return Date.parse((await this.readDelivery()).nextAttemptAt ?? '') - server.now().getTime();
    },
  };
}

const answerWith =
  (status: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (_request, response) =>
    response.writeHead(status, headers).end(body);

describe('a failed delivery is retried', () => {
  test('up to ten attempts over 75 hours, with one id and a new signature each', async () => {
    const { server, customer, receiver, readDelivery } = await anAnswer(answerWith(500, {}, 'broken'));
    const begun = server.now().getTime();
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      await server.deliver();
      expect(receiver.received).toHaveLength(attempt);
      const delivery = await readDelivery();
      expect(delivery.attemptCount).toBe(attempt);
      expect(delivery.state).toBe(attempt < 10 ? 'PENDING' : 'FAILED');
      if (delivery.nextAttemptAt === null) break;
      const wait = Date.parse(delivery.nextAttemptAt) - server.now().getTime();
      server.clock.advance(wait - 500);
      await server.deliver();
      expect(receiver.received).toHaveLength(attempt);
      server.clock.advance(500 + 1);
    }
    const hours = (server.now().getTime() - begun) / hour;
    expect(hours).toBeGreaterThan(75);
    expect(hours).toBeLessThan(76);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(1);
    const timestamps = receiver.received.map(({ headers }) => headers['webhook-timestamp']);
    expect(new Set(timestamps).size).toBe(10);
    for (const arrived of receiver.received) {
      expect(verifyDelivery(customer.signingSecret, arrived).type).toBe('job.finished');
    }
    const { attempts, endedAt } = await readDelivery();
    expect(attempts.nodes).toHaveLength(10);
    expect(attempts.nodes[0]).toMatchObject({ status: 500, failure: null, responseStart: 'broken' });
    expect(endedAt).not.toBeNull();
    server.clock.advance(30 * day);
    await server.deliver();
    expect(receiver.received).toHaveLength(10);
  });

  test('until it succeeds', async () => {
    const { server, receiver, readDelivery, readEndpoint } = await anAnswer((_request, response, index) =>
      response.writeHead(index < 2 ? 503 : 204).end(),
    );
    await server.deliver();
    expect(await readEndpoint()).toMatchObject({ enabled: true, failingSince: expect.any(String) });
    server.clock.advance(6 * second);
    await server.deliver();
    server.clock.advance(400 * second);
    await server.deliver();
    expect(receiver.received).toHaveLength(3);
    const { state, attempts } = await readDelivery();
    expect({ state, statuses: attempts.nodes.map(({ status }) => status) }).toEqual({
      state: 'DELIVERED',
      statuses: [204, 503, 503],
    });
    expect(await readEndpoint()).toMatchObject({ enabled: true, failingSince: null });
  });

  test('with a jitter of at most 10 percent of the delay', () => {
    const outcome = { status: 500, failure: null, retryAfter: null, responseStart: '' };
    const at = new Date(0);
    const delays = (random: number) =>
      webhookRetrySecondsDefault.map((_, index) => {
        const { dueAt } = decideNextStep({
          outcome,
          at,
          attemptCount: index + 1,
          retryDelays: webhookRetrySecondsDefault,
          random,
        });
        return (dueAt?.getTime() ?? 0) / second;
      });
    expect(delays(0.5)).toEqual(webhookRetrySecondsDefault);
    expect(delays(0)).toEqual(webhookRetrySecondsDefault.map((delay) => (delay * 9) / 10));
    expect(delays(1)).toEqual(webhookRetrySecondsDefault.map((delay) => (delay * 11) / 10));
  });
});

describe('the outcome of an attempt', () => {
  test.each([
    [301, { location: '/elsewhere' }],
    [302, { location: 'http://169.254.169.254/latest/meta-data' }],
    [307, { location: '/elsewhere' }],
    [400, {}],
    [404, {}],
    [429, {}],
    [500, {}],
  ])('is a failure for status %i, and redirects are not followed', async (status, headers) => {
    const { server, receiver, readDelivery } = await anAnswer(answerWith(status, headers));
    await server.deliver();
    expect(receiver.received).toHaveLength(1);
    const { state, attempts } = await readDelivery();
    expect({ state, status: attempts.nodes[0]?.status }).toEqual({ state: 'PENDING', status });
  });

  test.each([200, 201, 202, 204, 299])('is a success for status %i', async (status) => {
    const { server, readDelivery } = await anAnswer(answerWith(status));
    await server.deliver();
    expect(await readDelivery()).toMatchObject({ state: 'DELIVERED', attemptCount: 1 });
  });

  test('is a failure for a timeout', async () => {
    const { server, readDelivery } = await anAnswer(() => undefined);
    await server.deliver();
    const { attempts } = await readDelivery();
    expect(attempts.nodes).toEqual([
      expect.objectContaining({ status: null, failure: 'TIMED_OUT', responseStart: null }),
    ]);
    expect(attempts.nodes[0]?.durationMs).toBeGreaterThanOrEqual(timeoutMs - 50);
    expect(attempts.nodes[0]?.durationMs).toBeLessThan(timeoutMs * 5);
  });

  test('is a failure for a connection that is closed or refused', async () => {
    const broken = await anAnswer((_request, response) => response.destroy());
    await broken.server.deliver();
    expect((await broken.readDelivery()).attempts.nodes[0]).toMatchObject({ failure: 'CONNECTION_FAILED' });
    const { server, customer, endpoint, readDelivery } = await anAnswer(answerWith(200));
    await updateEndpoint(customer.client, { endpointId: endpoint.id, url: 'http://127.0.0.1:1/' });
    await server.deliver();
    expect((await readDelivery()).attempts.nodes[0]).toMatchObject({ failure: 'CONNECTION_FAILED' });
  });

  test('is a failure for an invalid HTTP response and a failed TLS handshake', async () => {
    const liar = createServer((socket) => socket.end('220 mail.example.com ESMTP\r\n'));
    await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void liar.close());
    const address = liar.address();
    const port = typeof address === 'object' ? address?.port : 0;
    for (const [scheme, failure] of [
      ['http', 'INVALID_RESPONSE'],
      ['https', 'TLS_FAILED'],
    ]) {
      const { server, customer, endpoint, readDelivery } = await anAnswer(answerWith(200));
      await updateEndpoint(customer.client, { endpointId: endpoint.id, url: `${scheme}://127.0.0.1:${port}/` });
      await server.deliver();
      expect((await readDelivery()).attempts.nodes[0]).toMatchObject({ status: null, failure });
    }
  });

  test.each([
    ['100 Continue', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['103 Early Hints', `HTTP/1.1 103 Early Hints\r\nlink: ${'x'.repeat(8_000)}\r\n\r\n`],
    ['headers', `x-more: ${'x'.repeat(1_000)}\r\n`],
  ])('is a failure for an endless flood of %s, of which little is read', async (what, part) => {
    let sentBytes = 0;
    const flooder = createServer((socket) => {
      socket.on('error', () => undefined);
      if (what === 'headers') socket.write('HTTP/1.1 200 OK\r\n');
      const flood = () => {
        while (!socket.destroyed && socket.write(part)) sentBytes += part.length;
      };
      socket.on('drain', flood);
      flood();
    });
    await new Promise<void>((resolve) => flooder.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void flooder.close());
    const address = flooder.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { server, customer, endpoint, readDelivery } = await anAnswer(answerWith(200));
    await updateEndpoint(customer.client, { endpointId: endpoint.id, url: `http://127.0.0.1:${port}/` });
    await server.deliver();
    expect((await readDelivery()).attempts.nodes[0]).toMatchObject({ status: null, failure: 'INVALID_RESPONSE' });
    // What fits into the buffers of the two sockets, however long the flood would have lasted.
    expect(sentBytes).toBeLessThan(20_000_000);
  });
});

describe('the response to an attempt', () => {
  test('is read and stored only up to 1,000 characters, without control characters', async () => {
    const { server, readDelivery } = await anAnswer((_request, response) => {
      response.write('\u001b[31mred\u0000\u202e ä\n');
      // An endless body.
      const more = setInterval(() => response.write('x'.repeat(10_000)), 1);
      response.on('close', () => clearInterval(more));
    });
    await server.deliver();
    const { state, attempts } = await readDelivery();
    expect(state).toBe('DELIVERED');
    expect(attempts.nodes[0]?.responseStart).toMatch(/^\[31mred ä\nx+$/);
    expect(attempts.nodes[0]?.responseStart).toHaveLength(1_000);
  });

  test('is judged by its status even if the body is missing or malformed', async () => {
    for (const answer of [
      ((_request, response) => void response.writeHead(200, { 'content-length': 100 }).flushHeaders()) as Answer,
      ((_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip')) as Answer,
    ]) {
      const { server, readDelivery } = await anAnswer(answer);
      await server.deliver();
      expect(await readDelivery()).toMatchObject({ state: 'DELIVERED' });
    }
  });
});

describe('Retry-After is respected within bounds', () => {
  test.each([
    ['120', 120 * second],
    ['0', 5 * second],
    ['999999999', day],
    ['-5', 5 * second],
    ['soon', 5 * second],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 5 * second],
    ['1e3', 5 * second],
  ])('%s', async (retryAfter, expected) => {
    const { server, waitMs, ...rest } = await anAnswer(answerWith(503, { 'retry-after': retryAfter }));
    await server.deliver();
    const wait = await waitMs.call({ ...rest, server, waitMs });
    expect(Math.abs(wait - expected)).toBeLessThan(2 * second);
  });

  test('as a date', async () => {
    const inTenMinutes = () => new Date(Date.now() + 600 * second).toUTCString();
    const { server, waitMs, ...rest } = await anAnswer((_request, response) =>
      response.writeHead(429, { 'retry-after': inTenMinutes() }).end(),
    );
    await server.deliver();
    const wait = await waitMs.call({ ...rest, server, waitMs });
    expect(Math.abs(wait - 600 * second)).toBeLessThan(3 * second);
  });
});

describe('an endpoint', () => {
  test('is disabled immediately by 410, its deliveries are cancelled, and other endpoints are notified', async () => {
    const { server, customer, endpoint, readEndpoint, receiver } = await anAnswer(answerWith(410));
    const other = await aReceiver();
    await createEndpoint(customer, other.url, ['webhook_endpoint.disabled']);
    await server.deliver();
    expect(await readEndpoint()).toMatchObject({ enabled: false, disabledReason: 'GONE' });
    await publish(server, customer.apiKeyId);
    await server.deliver();
    expect(receiver.received).toHaveLength(1);
    expect(other.received.map((arrived) => verifyDelivery(customer.signingSecret, arrived))).toEqual([
      {
        type: 'webhook_endpoint.disabled',
        timestamp: expect.any(String),
        data: {
          workspaceId: customer.workspaceId,
          apiKeyId: customer.apiKeyId,
          endpointId: endpoint.id,
          host: new URL(endpoint.url).host,
          reason: 'GONE',
          failingSince: expect.any(String),
        },
      },
    ]);
    const deliveries = await readDeliveries(customer.client, { endpointId: endpoint.id });
    expect(deliveries.map(({ state }) => state)).toEqual(['CANCELLED']);
    const audit = await server.services.db.auditEvent.findMany({
      where: { subjectId: endpoint.id },
      orderBy: { id: 'asc' },
    });
    expect(audit.map(({ action, actorKind }) => [action, actorKind])).toEqual([
      ['webhookEndpoint.created', 'USER'],
      ['webhookEndpoint.disabled', 'SYSTEM'],
    ]);
  });

  test('is disabled by failures over five days, and not over 100 hours', async () => {
    const { server, customer, readEndpoint } = await anAnswer(answerWith(500));
    await server.deliver();
    for (let failures = 1; failures <= 5; failures += 1) {
      server.clock.advance(20 * hour);
      await publish(server, customer.apiKeyId);
      await server.deliver();
    }
    expect(await readEndpoint()).toMatchObject({ enabled: true });
    server.clock.advance(21 * hour);
    await publish(server, customer.apiKeyId);
    await server.deliver();
    expect(await readEndpoint()).toMatchObject({ enabled: false, disabledReason: 'FAILING' });
  });

  test('is not disabled by two failures ten days apart without attempts in between', async () => {
    const { server, customer, readEndpoint } = await anAnswer(answerWith(500));
    await server.services.db.webhookDelivery.deleteMany({ where: { workspaceId: customer.workspaceId } });
    await publish(server, customer.apiKeyId);
    await server.deliver();
    await server.services.db.webhookDelivery.deleteMany({ where: { workspaceId: customer.workspaceId } });
    server.clock.advance(10 * day);
    await publish(server, customer.apiKeyId);
    await server.deliver();
    expect(await readEndpoint()).toMatchObject({ enabled: true });
  });

  test('gets new deliveries after it is enabled again', async () => {
    const { server, customer, endpoint, receiver } = await anAnswer((_request, response, index) =>
      response.writeHead(index === 0 ? 410 : 200).end(),
    );
    await server.deliver();
    expect(await updateEndpoint(customer.client, { endpointId: endpoint.id, enabled: true })).toMatchObject({
      enabled: true,
      disabledAt: null,
      disabledReason: null,
      failingSince: null,
    });
    await publish(server, customer.apiKeyId);
    await server.deliver();
    expect(receiver.received).toHaveLength(2);
  });
});
