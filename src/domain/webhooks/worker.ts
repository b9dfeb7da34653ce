import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunStatement } from '../../db/database.js';
import { webhookRetrySecondsDefault } from '../../products/product.js';
import type { Deps } from '../deps.js';
import { type ClaimedDelivery, claimDeliveries, releaseDeliveries } from './claim.js';
import { disableFailedEndpoint } from './disable.js';
import { cancelClaimed, createRecorder } from './record.js';
import { decideNextStep } from './schedule.js';
import type { SendWebhook } from './send.js';
import { signWebhook } from './signature.js';

export interface WorkerOptions {
  readonly run: RunStatement;
  readonly send: SendWebhook;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
  readonly limits?: Partial<WorkerLimits>;
}

interface WorkerLimits {
  /** The most attempts at a time. */
  readonly attempts: number;
  /** The most attempts at a time at endpoints whose last one failed: they may all hang, and the others go on. */
  readonly failingAttempts: number;
  /** The most attempts at a time at one endpoint. */
  readonly perEndpoint: number;
  /** The same, where the last one failed. */
  readonly perFailingEndpoint: number;
}

const limitsDefault: WorkerLimits = { attempts: 200, failingAttempts: 80, perEndpoint: 8, perFailingEndpoint: 1 };

/** How long after nothing was due it is looked again. */
const idleMs = 1_000;
/** Between two looks while there is something to do, so that what ends together is replaced by one statement. */
const busyMs = 10;
/** How long attempts may still take when the server closes; then they are given back. */
const drainMsMax = 5_000;

export interface WebhookWorker {
  /** Claims what is due and begins to try it. @returns how many deliveries were claimed. */
  claim(): Promise<number>;
  /** Waits until nothing is under way. */
  settled(): Promise<void>;
  /** Claims and tries, over and over, until it is stopped. */
  start(): void;
  /** Finishes what is under way, or gives it back. */
  stop(): Promise<void>;
}

interface UnderWay {
  readonly delivery: ClaimedDelivery;
  readonly failing: boolean;
  readonly abort: AbortController;
  ended: Promise<void>;
}

/** Delivers what waits. Any number of workers, in any number of processes, share the work. */
export function createWebhookWorker(
  deps: Pick<Deps, 'db' | 'clock' | 'cipher' | 'products' | 'log'>,
  { run, send, random = Math.random, limits: given = {} }: WorkerOptions,
): WebhookWorker {
  const limits = { ...limitsDefault, ...given };
  const record = createRecorder(run);
  const underWay = new Map<string, UnderWay>();
  /** Where the claims of each line go on. */
  const places = { healthy: '', failing: '' };
  let running: Promise<void> | null = null;
  let isStopping = false;
  let wake: () => void = () => undefined;

  async function claimFrom(line: 'healthy' | 'failing', limit: number): Promise<number> {
    if (limit <= 0) return 0;
    const failing = line === 'failing';
    const after = places[line];
    const claimed = await claimDeliveries(run, {
      now: deps.clock(),
      leaseId: randomUUID(),
      limit,
      failing,
      after,
      perEndpoint: failing ? limits.perFailingEndpoint : limits.perEndpoint,
      underWay: countByEndpoint(underWay.values()),
    });
    // A full claim goes on behind its last endpoint; one that is not full has come to the end.
    places[line] =
      claimed.length < limit
        ? ''
        : claimed.reduce((last, { endpointId }) => (endpointId > last ? endpointId : last), '');
    for (const delivery of claimed) begin(delivery, failing);
    return claimed.length < limit && after !== ''
      ? claimed.length + (await claimFrom(line, limit - claimed.length))
      : claimed.length;
  }

  function begin(delivery: ClaimedDelivery, failing: boolean): void {
    const entry: UnderWay = { delivery, failing, abort: new AbortController(), ended: Promise.resolve() };
    underWay.set(delivery.id, entry);
    entry.ended = attempt(delivery, entry.abort.signal)
      // Its lease runs out, and it is tried again.
      .catch((error: unknown) =>
        deps.log.warn({ err: error, deliveryId: delivery.id }, 'could not finish a webhook attempt'),
      )
      .finally(() => {
        if (underWay.get(delivery.id) === entry) underWay.delete(delivery.id);
        wake();
      });
  }

  async function attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    const startedAt = deps.clock();
    const { eventId, payload, url, endpointId } = delivery;
    if (delivery.isClosed || delivery.secrets.length === 0) return cancelClaimed(run, [delivery], startedAt);
    const secrets = delivery.secrets.map(({ id, ciphertext }) =>
      deps.cipher.open(Buffer.from(ciphertext, 'base64'), id),
    );
    const begun = performance.now();
    const outcome = await send({ url, payload, headers: signWebhook(eventId, startedAt, payload, secrets) }, signal);
    const durationMs = Math.round(performance.now() - begun);
    const endedAt = deps.clock();
    const retryDelays = deps.products.find(delivery.product)?.webhooks.retrySeconds ?? webhookRetrySecondsDefault;
    const attemptCount = delivery.attemptCount + 1;
    const next = decideNextStep({ outcome, at: endedAt, attemptCount, retryDelays, random: random() });
    const reason = await record({ delivery, startedAt, durationMs, endedAt, outcome, next });
    if (reason === null) return;
    await disableFailedEndpoint(deps, endpointId, reason);
    deps.log.info({ endpointId, reason }, 'a webhook endpoint was disabled');
  }

  async function claim(): Promise<number> {
    const free = limits.attempts - underWay.size;
    const failing = [...underWay.values()].filter((entry) => entry.failing).length;
    const healthy = await claimFrom('healthy', free);
    return healthy + (await claimFrom('failing', Math.min(free - healthy, limits.failingAttempts - failing)));
  }

  async function settled(): Promise<void> {
    while (underWay.size > 0) await Promise.all([...underWay.values()].map(({ ended }) => ended));
  }

  async function work(): Promise<void> {
    while (!isStopping) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const claimed = await claim().catch((error: unknown) => {
        deps.log.warn({ err: error }, 'could not claim webhook deliveries');
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
      const left = [...underWay.values()];
      for (const { abort } of left) abort.abort();
      await releaseDeliveries(
        run,
        left.map(({ delivery }) => delivery),
        deps.clock(),
      ).catch((error: unknown) => deps.log.warn({ err: error }, 'could not give webhook deliveries back'));
    },
  };
}

/** Waits for something, and no longer than so long. */
async function within(ms: number, something: Promise<void>): Promise<void> {
  const limit = new AbortController();
  await Promise.race([something, sleep(ms, undefined, { signal: limit.signal }).catch(() => undefined)]);
  limit.abort();
}

function countByEndpoint(entries: Iterable<UnderWay>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { delivery } of entries) counts.set(delivery.endpointId, (counts.get(delivery.endpointId) ?? 0) + 1);
  return counts;
}
