import { describe, expect, test } from 'vitest';
import { deleteOldEvents, publishExpiryNotices } from '../../src/domain/webhooks/sweep.js';
import { charge, createApiKey, grantCredits, revokeApiKey } from '../factories.js';
import {
  aCustomer,
  aWebhookServer,
  type Customer,
  createEndpoint,
  publish,
  readDeliveries,
  rotateSigningSecret,
  tryPublish,
  type WebhookServer,
} from './customer.js';
import { aReceiver, type Received, type VerifiedPayload, verifyDelivery } from './receiver.js';

/** A customer with an endpoint, and the verified payloads that it received. */
async function aListener(eventTypes: string[] = []) {
  const server = await aWebhookServer();
  const customer = await aCustomer(server);
  const receiver = await aReceiver();
  const endpoint = await createEndpoint(customer, receiver.url, eventTypes);
  return {
    server,
    customer,
    endpoint,
    async heard(): Promise<VerifiedPayload[]> {
      await server.deliver();
      // Deliveries arrive in any order; ids sort by time.
      return receiver.received
        .splice(0)
        .sort((one, other) => (idOf(one) < idOf(other) ? -1 : 1))
        .map((delivery) => verifyDelivery(customer.signingSecret, delivery));
    },
  };
}

const idOf = ({ headers }: Received) => headers['webhook-id'] ?? '';

const factsOf = ({ workspaceId, apiKeyId }: Customer) => ({
  workspaceId,
  apiKeyId,
  name: 'ci',
  product: 'default',
  environment: 'LIVE',
  status: 'ACTIVE',
  createdAt: expect.any(String),
  expiresAt: null,
});

const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

async function update({ client, apiKeyId }: Customer, fields: string) {
  const { errors } = await client.send(
    `mutation { updateApiKey(input: { apiKeyId: "${apiKeyId}", ${fields} }) { __typename ... on Error { message } } }`,
  );
  expect(errors).toEqual([]);
}

describe('the endpoints of a key receive', () => {
  test('api_key.updated with the changed fields, and no event without a change', async () => {
    const { customer, heard } = await aListener();
    await update(customer, 'name: "other", enabled: false');
    await update(customer, 'name: "other"');
    expect(await heard()).toEqual([
      {
        type: 'api_key.updated',
        timestamp,
        data: { ...factsOf(customer), name: 'other', status: 'DISABLED', changed: ['name', 'disabledAt'] },
      },
    ]);
  });

  test('api_key.rotated and signing_secret.rotated with the end of the old secrets', async () => {
    const { server, customer, heard } = await aListener();
    const { errors } = await customer.client.send(
      `mutation { rotateApiKey(input: { apiKeyId: "${customer.apiKeyId}", overlapSeconds: 60 }) { __typename } }`,
    );
    expect(errors).toEqual([]);
    await rotateSigningSecret(customer.client, customer.apiKeyId, 60);
    // During the overlap the old secret still verifies the delivery.
    const [rotated, signing] = await heard();
    expect(rotated).toEqual({
      type: 'api_key.rotated',
      timestamp,
      data: { ...factsOf(customer), secretPreview: expect.stringMatching(/^.{4}$/), oldSecretsRetireAt: timestamp },
    });
    expect(signing).toEqual({
      type: 'signing_secret.rotated',
      timestamp,
      data: { ...factsOf(customer), oldSecretRetiresAt: timestamp },
    });
    expect(Date.parse(String(signing?.data.oldSecretRetiresAt))).toBeGreaterThan(server.now().getTime());
  });

  test('api_key.revoked as the last event of a key', async () => {
    const { server, customer, heard } = await aListener();
    await revokeApiKey(customer.client, customer.apiKeyId, 'leaked');
    await grantCredits(server, customer.workspaceId, 5);
    expect(await tryPublish(server.backend, { apiKeyId: customer.apiKeyId, type: 'job.done', data: {} })).toMatchObject(
      {
        code: 'CONFLICT',
      },
    );
    expect(await heard()).toEqual([
      { type: 'api_key.revoked', timestamp, data: { ...factsOf(customer), status: 'REVOKED', reason: 'leaked' } },
    ]);
  });

  test('api_key.revoked for a deleted key, unless it was revoked before', async () => {
    const { customer, heard } = await aListener();
    await customer.client.send(`mutation { deleteApiKey(input: { apiKeyId: "${customer.apiKeyId}" }) { __typename } }`);
    expect((await heard()).map(({ type }) => type)).toEqual(['api_key.revoked']);
    const other = await aListener();
    await revokeApiKey(other.customer.client, other.customer.apiKeyId);
    await other.customer.client.send(
      `mutation { deleteApiKey(input: { apiKeyId: "${other.customer.apiKeyId}" }) { __typename } }`,
    );
    expect((await other.heard()).map(({ type }) => type)).toEqual(['api_key.revoked']);
  });

  test('api_key.expiring once a week and once a day before the end, regardless of the number of processes', async () => {
    const { server, customer, heard } = await aListener();
    const day = 86_400_000;
    const expiresAt = new Date(server.now().getTime() + 8 * day);
    await update(customer, `expiresAt: "${expiresAt.toISOString()}"`);
    await heard();
    const look = () => Promise.all(Array.from({ length: 4 }, () => publishExpiryNotices(server.services)));
    await look();
    expect(await heard()).toEqual([]);
    server.clock.advance(1.5 * day);
    await look();
    const told = { ...factsOf(customer), expiresAt: expiresAt.toISOString() };
    expect(await heard()).toEqual([{ type: 'api_key.expiring', timestamp, data: { ...told, daysBefore: 7 } }]);
    server.clock.advance(6 * day);
    await look();
    await look();
    expect(await heard()).toEqual([{ type: 'api_key.expiring', timestamp, data: { ...told, daysBefore: 1 } }]);
    // A new expiry date is announced again.
    await update(customer, `expiresAt: "${new Date(server.now().getTime() + 3 * day).toISOString()}"`);
    await heard();
    await look();
    expect((await heard()).map(({ data }) => data.daysBefore)).toEqual([7]);
  });
});

describe('the endpoints of all keys of a workspace receive', () => {
  test('api_key.created, credits.granted and workspace.suspended', async () => {
    const { server, customer, heard } = await aListener();
    const { apiKey } = await createApiKey(customer.client, { name: 'second', product: 'default', environment: 'TEST' });
    await grantCredits(server, customer.workspaceId, 50);
    const { errors } = await server.backend.send(
      'mutation ($id: ID!) { suspendWorkspace(input: { workspaceId: $id, reason: "unpaid" }) { __typename } }',
      { id: customer.workspaceId },
    );
    expect(errors).toEqual([]);
    expect(await heard()).toEqual([
      {
        type: 'api_key.created',
        timestamp,
        data: { ...factsOf(customer), apiKeyId: apiKey.id, name: 'second', environment: 'TEST' },
      },
      {
        type: 'credits.granted',
        timestamp,
        data: {
          workspaceId: customer.workspaceId,
          credits: 50,
          balance: 150,
          reason: null,
          expiresAt: null,
          ledgerEntryId: expect.stringMatching(/^led_/),
        },
      },
      { type: 'workspace.suspended', timestamp, data: { workspaceId: customer.workspaceId, reason: 'unpaid' } },
    ]);
  });

  test('each delivery signed with the secret of the key that owns the endpoint', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const { apiKey, signingSecret } = await createApiKey(customer.client, { name: 'second', product: 'default' });
    const second = { ...customer, apiKeyId: apiKey.id };
    const [one, other] = [await aReceiver(), await aReceiver()];
    await createEndpoint(customer, one.url);
    await createEndpoint(second, other.url);
    await grantCredits(server, customer.workspaceId, 1);
    await publish(server, second.apiKeyId, 'job.finished');
    await server.deliver();
    expect(one.received.map((delivery) => verifyDelivery(customer.signingSecret, delivery).type)).toEqual([
      'credits.granted',
    ]);
    expect(other.received.map((delivery) => verifyDelivery(signingSecret ?? '', delivery).type).sort()).toEqual([
      'credits.granted',
      'job.finished',
    ]);
  });

  test('no events of another workspace', async () => {
    const { server, heard } = await aListener();
    const stranger = await aCustomer(server);
    await grantCredits(server, stranger.workspaceId, 5);
    await publish(server, stranger.apiKeyId);
    expect(await heard()).toEqual([]);
  });
});

describe('credit alerts', () => {
  const spend = ({ secret }: Customer, server: WebhookServer, quantity: number, hold = false) =>
    charge(server, secret, { action: 'request', quantity, hold });

  test('send credits.low once when the balance falls to the threshold, and again only after a grant', async () => {
    const { server, customer, heard } = await aListener(['credits.low', 'credits.exhausted']);
    const { workspaceId } = customer;
    await spend(customer, server, 79);
    expect(await heard()).toEqual([]);
    await spend(customer, server, 1);
    expect(await heard()).toEqual([
      { type: 'credits.low', timestamp, data: { workspaceId, available: 20, balance: 20, held: 0, lowAt: 20 } },
    ]);
    await spend(customer, server, 1);
    expect(await heard()).toEqual([]);
    await grantCredits(server, workspaceId, 1);
    await spend(customer, server, 1);
    expect(await heard()).toEqual([]);
    await grantCredits(server, workspaceId, 30);
    await spend(customer, server, 40);
    expect((await heard()).map(({ data }) => data.available)).toEqual([9]);
  });

  test('send credits.exhausted at 0, and both events when a charge crosses both thresholds', async () => {
    const { server, customer, heard } = await aListener(['credits.low', 'credits.exhausted']);
    await spend(customer, server, 100);
    expect((await heard()).map(({ type }) => type).sort()).toEqual(['credits.exhausted', 'credits.low']);
    expect((await spend(customer, server, 1)).code).toBe('INSUFFICIENT_CREDITS');
    expect(await heard()).toEqual([]);
  });

  test('send nothing new when holds cross the threshold repeatedly', async () => {
    const { server, customer, heard } = await aListener(['credits.low']);
    for (let turn = 0; turn < 3; turn += 1) {
      const { charge: held } = await spend(customer, server, 90, true);
      await server.backend.send('mutation ($id: ID!) { releaseCharge(input: { chargeId: $id }) { __typename } }', {
        id: held?.id,
      });
    }
    expect(await heard()).toHaveLength(1);
  });

  test('use the threshold that an owner sets, or none', async () => {
    const { server, customer, heard } = await aListener(['credits.low']);
    const setLowAt = (credits: number | null) =>
      customer.client.send(
        'mutation ($input: SetCreditsLowAtInput!) { setCreditsLowAt(input: $input) { __typename ... on SetCreditsLowAtPayload { credits { lowAt } } } }',
        { input: { workspaceId: customer.workspaceId, credits } },
      );
    expect((await setLowAt(50)).data).toEqual({
      setCreditsLowAt: { __typename: 'SetCreditsLowAtPayload', credits: { lowAt: 50 } },
    });
    await spend(customer, server, 60);
    expect((await heard()).map(({ data }) => data)).toEqual([
      { workspaceId: customer.workspaceId, available: 40, balance: 40, held: 0, lowAt: 50 },
    ]);
    expect((await setLowAt(null)).data).toMatchObject({ setCreditsLowAt: { credits: { lowAt: null } } });
    await grantCredits(server, customer.workspaceId, 100);
    await spend(customer, server, 139);
    expect(await heard()).toEqual([]);
  });

  test('are not stored without an endpoint', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    await spend(customer, server, 100);
    expect(await server.services.db.webhookEvent.count({ where: { workspaceId: customer.workspaceId } })).toBe(0);
  });
});

describe('a webhook event', () => {
  test('is not sent when the transaction of its cause is rolled back', async () => {
    const { server, customer, heard } = await aListener();
    const { db } = server.services;
    const before = await db.webhookEvent.count();
    // The audit trail refuses the row, so the whole transaction is rolled back.
    await db.$executeRawUnsafe(`
      CREATE FUNCTION refuse_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW."workspaceId" = '${customer.workspaceId}' THEN RAISE EXCEPTION 'refused'; END IF;
        RETURN NEW;
      END $$`);
    await db.$executeRawUnsafe(
      'CREATE TRIGGER refuse_for_test BEFORE INSERT ON "AuditEvent" FOR EACH ROW EXECUTE FUNCTION refuse_for_test()',
    );
    const { errors } = await customer.client.send(
      `mutation { revokeApiKey(input: { apiKeyId: "${customer.apiKeyId}" }) { __typename } }`,
    );
    await db.$executeRawUnsafe('DROP TRIGGER refuse_for_test ON "AuditEvent"');
    await db.$executeRawUnsafe('DROP FUNCTION refuse_for_test');
    expect(errors).toHaveLength(1);
    expect(await db.webhookEvent.count()).toBe(before);
    expect(await heard()).toEqual([]);
  });
});

describe('publishEvent', () => {
  test('with an idempotency key publishes once for repeated and concurrent requests', async () => {
    const { server, customer, heard, endpoint } = await aListener();
    const ask = (job: number) =>
      tryPublish(server.backend, {
        apiKeyId: customer.apiKeyId,
        type: 'job.finished',
        data: { job },
        idempotencyKey: 'job-1',
      });
    const results = await Promise.all([1, 2, 3, 4].map(ask));
    const ids = results.map((result) => (result.__typename === 'PublishEventPayload' ? result.event.id : result));
    expect(new Set(ids).size).toBe(1);
    expect(await heard()).toHaveLength(1);
    expect(await ask(5)).toMatchObject({ replayed: true, event: { id: ids[0] } });
    expect(await readDeliveries(customer.client, { endpointId: endpoint.id })).toHaveLength(1);
  });

  let shared: Promise<{ server: WebhookServer; customer: Customer }> | undefined;
  async function open() {
    const server = await aWebhookServer();
    return { server, customer: await aCustomer(server) };
  }
  /** One customer for all refused types, because refusals write nothing. */
  function forRefusals() {
    shared ??= open();
    return shared;
  }

  test.each([
    ['api_key.created', 'Event types that begin with api_key are reserved.'],
    ['Api_Key.stolen', 'Event types that begin with api_key are reserved.'],
    ['credits.low', 'Event types that begin with credits are reserved.'],
    ['webhook.test', 'Event types that begin with webhook are reserved.'],
    ['job', 'such as job.finished'],
    ['job.', 'such as job.finished'],
    ['.job', 'such as job.finished'],
    ['job finished.now', 'such as job.finished'],
    ['jöb.finished', 'such as job.finished'],
  ])('refuses the type %s', async (type, words) => {
    const { server, customer } = await forRefusals();
    expect(await tryPublish(server.backend, { apiKeyId: customer.apiKeyId, type, data: {} })).toEqual({
      __typename: 'ValidationError',
      field: 'input.type',
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining(words),
    });
  });

  test('without an endpoint stores the event, so that its idempotency key is replayed', async () => {
    const server = await aWebhookServer();
    const customer = await aCustomer(server);
    const input = { workspaceId: customer.workspaceId, type: 'job.finished', data: {}, idempotencyKey: 'a' };
    expect(await tryPublish(server.backend, input)).toMatchObject({ replayed: false });
    expect(await tryPublish(server.backend, input)).toMatchObject({ replayed: true });
  });
});

test('delivered events are deleted after 30 days, and pending ones are not', async () => {
  const { server, customer, endpoint } = await aListener();
  const old = await publish(server, customer.apiKeyId, 'job.old');
  await server.deliver();
  server.clock.advance(29 * 86_400_000);
  await deleteOldEvents(server.services);
  const types = async () =>
    (await readDeliveries(customer.client, { endpointId: endpoint.id })).map(({ event }) => event.type);
  expect(await types()).toEqual(['job.old']);
  await publish(server, customer.apiKeyId, 'job.waiting');
  server.clock.advance(31 * 86_400_000);
  await deleteOldEvents(server.services);
  expect(await types()).toEqual(['job.waiting']);
  const { db } = server.services;
  expect(await db.webhookEvent.count({ where: { id: old.id } })).toBe(0);
  expect(await db.webhookAttempt.count({ where: { workspaceId: customer.workspaceId } })).toBe(0);
});

test('an endpoint receives only the event types that it subscribes to', async () => {
  const { server, customer, heard } = await aListener(['job.finished', 'credits.granted']);
  await publish(server, customer.apiKeyId, 'job.finished');
  await publish(server, customer.apiKeyId, 'job.started');
  await grantCredits(server, customer.workspaceId, 1);
  await update(customer, 'name: "other"');
  expect((await heard()).map(({ type }) => type).sort()).toEqual(['credits.granted', 'job.finished']);
});
