import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Clock } from '../../clock.js';
import type { RunStatement } from '../../db/database.js';
import type { Db } from '../../db/transaction.js';
import { type Products, webhookRetrySecondsDefault } from '../../products/product.js';
import type { Cipher } from '../access/cipher.js';
import { type ClaimedDelivery, claimDeliveries, releaseDeliveries } from './claim.js';
import { disableFailedEndpoint } from './disable.js';
import { cancelClaimed, createRecorder } from './record.js';
import { decideNextStep } from './schedule.js';
import type { SendWebhook } from './send.js';
import { signWebhook } from './signature.js';

export interface WebhookWorkerServices {
  readonly db: Db;
  readonly clock: Clock;
  readonly cipher: Cipher;
  readonly products: Products;
  readonly log: Logger;
}

export interface WorkerOptions {
  readonly run: RunStatement;
  readonly send: SendWebhook;
  /** Returns a random number from 0 to 1, for the jitter. */
  readonly random?: () => number;
  readonly limits?: Partial<WorkerLimits>;
}

interface WorkerLimits {
  /** Maximum number of concurrent attempts. */
  readonly attempts: number;
  /** The same for all failing endpoints together: even if they all hang, the others continue. */
  readonly failingAttempts: number;
  /** Maximum number of concurrent attempts per endpoint. */
  readonly perEndpoint: number;
  /** The same per failing endpoint: one whose last attempt failed. */
  readonly perFailingEndpoint: number;
}

const limitsDefault: WorkerLimits = { attempts: 200, failingAttempts: 80, perEndpoint: 8, perFailingEndpoint: 1 };

/** Polling interval while nothing is due. */
const idleMs = 1_000;
/** Pause between two claims while deliveries are due, so that one statement claims several. */
const busyMs = 10;
/** Time limit for attempts in flight when the server shuts down. Then they are released. */
const drainMsMax = 5_000;

export interface WebhookWorker {
  /** Claims due deliveries and starts their attempts. @returns the number of claimed deliveries */
  claim(): Promise<number>;
  /** Waits until no attempt is in flight. */
  settled(): Promise<void>;
  /** Claims and attempts deliveries until it is stopped. */
  start(): void;
  /** Finishes the attempts in flight, or releases their deliveries. */
  stop(): Promise<void>;
}

interface InFlight {
  readonly delivery: ClaimedDelivery;
  readonly failing: boolean;
  readonly abort: AbortController;
  ended: Promise<void>;
}

/** Delivers pending webhooks. Any number of workers, in any number of processes, share the work. */
export function createWebhookWorker(
  services: WebhookWorkerServices,
  { run, send, random = Math.random, limits: given = {} }: WorkerOptions,
): WebhookWorker {
  const limits = { ...limitsDefault, ...given };
  const record = createRecorder(run);
  const inFlight = new Map<string, InFlight>();
  /** Per queue, the endpoint id after which the next claim continues. */
  const positions = { healthy: '', failing: '' };
  let running: Promise<void> | null = null;
  let isStopping = false;
  let wake: () => void = () => undefined;

  async function claimFrom(queue: 'healthy' | 'failing', limit: number): Promise<number> {
    if (limit <= 0) return 0;
    const failing = queue === 'failing';
    const after = positions[queue];
    const claimed = await claimDeliveries(run, {
      now: services.clock(),
      leaseId: randomUUID(),
      limit,
      failing,
      after,
      perEndpoint: failing ? limits.perFailingEndpoint : limits.perEndpoint,
      inFlight: countByEndpoint(inFlight.values()),
    });
    // After a full claim, the next one continues behind its last endpoint. Otherwise all endpoints were
    // visited.
    positions[queue] =
      claimed.length < limit
        ? ''
        : claimed.reduce((last, { endpointId }) => (endpointId > last ? endpointId : last), '');
    for (const delivery of claimed) begin(delivery, failing);
    return claimed.length < limit && after !== ''
      ? claimed.length + (await claimFrom(queue, limit - claimed.length))
      : claimed.length;
  }

  function begin(delivery: ClaimedDelivery, failing: boolean): void {
    const entry: InFlight = { delivery, failing, abort: new AbortController(), ended: Promise.resolve() };
    inFlight.set(delivery.id, entry);
    entry.ended = attempt(delivery, entry.abort.signal)
      // The lease expires, and the delivery is attempted again.
      .catch((error: unknown) =>
        services.log.warn({ err: error, deliveryId: delivery.id }, 'failed to finish a webhook attempt'),
      )
      .finally(() => {
        if (inFlight.get(delivery.id) === entry) inFlight.delete(delivery.id);
        wake();
      });
  }

  async function attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    const startedAt = services.clock();
    const { eventId, payload, url, endpointId } = delivery;
    if (delivery.isClosed || delivery.secrets.length === 0) return cancelClaimed(run, [delivery], startedAt);
    const secrets = delivery.secrets.map(({ id, ciphertext }) =>
      services.cipher.open(Buffer.from(ciphertext, 'base64'), id),
    );
    const begun = performance.now();
    const outcome = await send({ url, payload, headers: signWebhook(eventId, startedAt, payload, secrets) }, signal);
    const durationMs = Math.round(performance.now() - begun);
    const endedAt = services.clock();
    const retryDelays = services.products.find(delivery.product)?.webhooks.retrySeconds ?? webhookRetrySecondsDefault;
    const attemptCount = delivery.attemptCount + 1;
    const next = decideNextStep({ outcome, at: endedAt, attemptCount, retryDelays, random: random() });
    const reason = await record({ delivery, startedAt, durationMs, endedAt, outcome, next });
    if (reason === null) return;
    await disableFailedEndpoint(services, endpointId, reason);
    services.log.info({ endpointId, reason }, 'a webhook endpoint was disabled');
  }

  async function claim(): Promise<number> {
    const free = limits.attempts - inFlight.size;
    const failing = [...inFlight.values()].filter((entry) => entry.failing).length;
    const healthy = await claimFrom('healthy', free);
    return healthy + (await claimFrom('failing', Math.min(free - healthy, limits.failingAttempts - failing)));
  }

  async function settled(): Promise<void> {
    while (inFlight.size > 0) await Promise.all([...inFlight.values()].map(({ ended }) => ended));
  }

  async function work(): Promise<void> {
    while (!isStopping) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const claimed = await claim().catch((error: unknown) => {
        services.log.warn({ err: error }, 'failed to claim webhook deliveries');
        return 0;
      });
      await sleep(busyMs);
      if (claimed === 0 && !isStopping) await within(idleMs, woken);
    }
  }

  return {
    claim,
    settled,
    start() {
      running ??= work();
    },
    async stop() {
      isStopping = true;
      wake();
      await running;
      await within(drainMsMax, settled());
      const left = [...inFlight.values()];
      for (const { abort } of left) abort.abort();
      await releaseDeliveries(
        run,
        left.map(({ delivery }) => delivery),
        services.clock(),
      ).catch((error: unknown) => services.log.warn({ err: error }, 'failed to release webhook deliveries'));
    },
  };
}

/** Waits for a promise, at most `ms`. */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  const limit = new AbortController();
  await Promise.race([promise, sleep(ms, undefined, { signal: limit.signal }).catch(() => undefined)]);
  limit.abort();
}

function countByEndpoint(entries: Iterable<InFlight>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { delivery } of entries) counts.set(delivery.endpointId, (counts.get(delivery.endpointId) ?? 0) + 1);
  return counts;
}
