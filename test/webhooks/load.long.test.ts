import type { ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createAddressPolicy } from '../../src/domain/webhooks/address.js';
import { leaseMs } from '../../src/domain/webhooks/claim.js';
import { createSender, type SendWebhook } from '../../src/domain/webhooks/send.js';
import { createWebhookWorker, type WebhookWorker } from '../../src/domain/webhooks/worker.js';
import { createApiKey } from '../factories.js';
import { sharedDatabase } from '../harness.js';
import { scaled } from '../scale.js';
import {
  aCustomer,
  aWebhookServer,
  type Customer,
  createEndpoint,
  rotateSigningSecret,
  type WebhookServer,
} from './customer.js';
import { aReceiver } from './receiver.js';

const keyCount = 10;
const endpointsPerKey = 10;
/** 10,000 deliveries at full length, 500 otherwise. */
const batchCount = 5;
const eventsPerBatch = scaled({ full: 20, short: 1 });
const eventCount = batchCount * eventsPerBatch;
const attemptMs = 3_000;
/** Lower than the defaults, because one process runs everything here. */
const limits = { attempts: 120, failingAttempts: 30, perEndpoint: 4 };

/** Behaviours of endpoints. Those that begin with `healthy` eventually respond with 2xx. */
const behaviours: Readonly<Record<string, (response: ServerResponse, random: number) => void>> = {
  'healthy, prompt': (response) => response.writeHead(204).end(),
  'healthy, slow': (response) => void setTimeout(() => response.end('ok'), 5),
  'healthy, failing now and then': (response, random) => response.writeHead(random < 0.2 ? 500 : 200).end(),
  'healthy, hanging up now and then': (response, random) => (random < 0.1 ? response.destroy() : response.end('ok')),
  fails: (response) => response.writeHead(500).end('no'),
  hangs: () => undefined,
  redirects: (response) => response.writeHead(302, { location: '/healthy' }).end(),
  'answers late': (response) => void setTimeout(() => response.end('too late'), attemptMs * 1.2),
  lies: (response) => void response.socket?.end('HTTP/1.1 2OO OK\r\n\r\n'),
};

/** Behaviours of the endpoints of a key, except for the silent one. */
const behavioursOfKey = [
  'healthy, prompt',
  'healthy, prompt',
  'healthy, prompt',
  'healthy, slow',
  'healthy, failing now and then',
  'healthy, hanging up now and then',
  'fails',
  'redirects',
  'lies',
] as const;
const silent = ['hangs', 'answers late'] as const;
const healthyPerKey = behavioursOfKey.filter((behaviour) => behaviour.startsWith('healthy')).length;

interface Arrival {
  readonly path: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function aCrowdOfReceivers() {
  const arrivals: Arrival[] = [];
  const { url } = await aReceiver(({ path: sentTo, headers, body }, response) => {
    const path = decodeURIComponent(sentTo).slice(1);
    arrivals.push({ path, id: headers['webhook-id'] ?? '', headers, body });
    behaviours[path.split('#', 1)[0] ?? '']?.(response, Math.random());
  });
  return { url, arrivals };
}

/** A worker that can be killed at any time: what it sent may have arrived, but none of it is recorded. */
async function aKillableWorker(server: WebhookServer) {
  const { run } = await sharedDatabase();
  const sender = createSender({ addresses: createAddressPolicy({ allowsPrivate: true }), timeoutMs: attemptMs });
  let isDead = false;
  const send: SendWebhook = async (request) => {
    const outcome = await sender(request);
    return isDead ? new Promise<never>(() => undefined) : outcome;
  };
  const worker: WebhookWorker = createWebhookWorker(server.services, { run, send, limits });
  return {
    claim: worker.claim,
    kill: () => {
      isDead = true;
    },
  };
}

/** @returns the ids of the events */
async function publishToAll(server: WebhookServer, workspaceId: string, jobs: readonly number[]): Promise<string[]> {
  const fields = jobs.map(
    (job) =>
      `j${job}: publishEvent(input: { workspaceId: "${workspaceId}", type: "job.finished", data: { job: ${job} } }) { ... on PublishEventPayload { event { id } } }`,
  );
  const { data, errors } = await server.backend.send<Record<string, { event: { id: string } }>>(
    `mutation { ${fields.join(' ')} }`,
  );
  expect(errors).toEqual([]);
  return Object.values(data ?? {}).map(({ event }) => event.id);
}

/** A customer with the maximum number of endpoints of a workspace, on ten keys. */
async function aCustomerWithManyEndpoints(server: WebhookServer, url: string) {
  const customer = await aCustomer(server);
  const keys: Customer[] = [customer];
  while (keys.length < keyCount) {
    const { apiKey, signingSecret } = await createApiKey(customer.client, { name: 'another', product: 'default' });
    keys.push({ ...customer, apiKeyId: apiKey.id, signingSecret: signingSecret ?? '' });
  }
  const ownerOf = new Map<string, Customer>();
  for (const [index, key] of keys.entries()) {
    const behaviours = [...behavioursOfKey, silent[index % silent.length] ?? 'hangs'];
    for (const [place, behaviour] of behaviours.entries()) {
      const path = `${behaviour}#${index}.${place}`;
      ownerOf.set(path, key);
      await createEndpoint(key, `${url}/${encodeURIComponent(path)}`, ['job.finished']);
    }
  }
  return { workspaceId: customer.workspaceId, keys, ownerOf };
}

/** A signing secret and the period in which it is valid. */
interface Term {
  readonly secret: string;
  readonly from: number;
  until: number;
}

test(`of ${eventCount * keyCount * endpointsPerKey} deliveries, each arrives at every healthy endpoint with a valid signature despite killed workers and rotations`, async () => {
  const server = await aWebhookServer();
  const receivers = await aCrowdOfReceivers();
  const { workspaceId, keys, ownerOf } = await aCustomerWithManyEndpoints(server, receivers.url);
  const healthy = [...ownerOf.keys()].filter((path) => path.startsWith('healthy'));
  const terms = new Map(
    keys.map((key): [Customer, Term[]] => [
      key,
      [{ secret: key.signingSecret, from: 0, until: Number.POSITIVE_INFINITY }],
    ]),
  );
  const expected = new Set<string>();

  const rotate = async (key: Customer, overlapSeconds: number) => {
    const secret = await rotateSigningSecret(key.client, key.apiKeyId, overlapSeconds);
    const now = server.now().getTime();
    const own = terms.get(key) ?? [];
    for (const term of own) term.until = Math.min(term.until, now + overlapSeconds * 1_000);
    own.push({ secret, from: now, until: Number.POSITIVE_INFINITY });
  };

  const workers = await Promise.all([1, 2].map(() => aKillableWorker(server)));
  let killed = 0;
  /**
   * Lets every worker claim and kills one in every tenth round. @returns whether any worker claimed something
   */
  const work = async (round: number) => {
    const claimed = await Promise.all(workers.map((worker) => worker.claim()));
    if (round % 10 === 5) {
      const victim = Math.floor(Math.random() * workers.length);
      workers[victim]?.kill();
      workers[victim] = await aKillableWorker(server);
      killed += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 40));
    return claimed.some((count) => count > 0);
  };

  const publishing = (async () => {
    for (let batch = 0; batch < batchCount; batch += 1) {
      const jobs = Array.from({ length: eventsPerBatch }, (_, job) => batch * eventsPerBatch + job);
      for (const id of await publishToAll(server, workspaceId, jobs)) {
        for (const path of healthy) expected.add(`${id} ${path}`);
      }
      // Half of the keys with an overlap, half without.
      for (const [index, key] of keys.entries())
        if (index % batchCount === batch) await rotate(key, index < 5 ? 600 : 0);
    }
  })();
  let isPublishing = true;
  void publishing.finally(() => {
    isPublishing = false;
  });

  const missing = () => {
    const seen = new Set(receivers.arrivals.map(({ id, path }) => `${id} ${path}`));
    return [...expected].filter((one) => !seen.has(one)).length;
  };
  let quiet = 0;
  for (let rounds = 1; isPublishing || rounds % 10 > 0 || missing() > 0; rounds += 1) {
    quiet = (await work(rounds)) || isPublishing ? 0 : quiet + 1;
    if (quiet < 5) continue;
    // Nothing more is due: moves the clock until leases of killed workers expire or failed deliveries are
    // retried.
    quiet = 0;
    server.clock.advance(Math.random() < 0.5 ? leaseMs : 331_000);
  }
  await publishing;

  const total = await server.services.db.webhookDelivery.count({
    where: { workspaceId, event: { type: 'job.finished' } },
  });
  expect(total).toBe(keyCount * endpointsPerKey * eventCount);
  expect(expected.size).toBe(keyCount * healthyPerKey * eventCount);
  expect(missing()).toBe(0);
  expect(killed).toBeGreaterThan(0);

  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const unverified = receivers.arrivals.filter(({ path, headers, body }) => {
    const at = Number(headers['webhook-timestamp']) * 1_000;
    vi.setSystemTime(at);
    const owner = ownerOf.get(path);
    // The timestamp is in whole seconds.
    const valid = (owner && terms.get(owner))?.filter(({ from, until }) => from < at + 1_000 && until > at) ?? [];
    return !valid.some(({ secret }) => isAccepted(secret, body, headers));
  });
  expect(unverified).toEqual([]);
}, 120_000);

function isAccepted(secret: string, body: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}
