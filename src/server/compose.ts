import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../clock.js';
import type { Database } from '../db/database.js';
import { createCipher } from '../domain/access/cipher.js';
import { createRefusalRecorder } from '../domain/audit/refusals.js';
import { deleteExpiredRecords } from '../domain/commands/idempotency.js';
import { createCommandRunner } from '../domain/commands/run-command.js';
import { createChargeBatcher } from '../domain/credits/charge.js';
import { sweepCredits } from '../domain/credits/sweep.js';
import { createAuthenticationFailures } from '../domain/identity/authentication-failures.js';
import { createKeyCache } from '../domain/keys/key-cache.js';
import { type CostBudgets, createLocalBudgets } from '../domain/rate-limits/cost-budgets.js';
import type { RateLimiter } from '../domain/rate-limits/limiter.js';
import { createLocalLimiter } from '../domain/rate-limits/open-limiter.js';
import { createUseRecorder } from '../domain/usage/use-recorder.js';
import { createIdempotentVerifier } from '../domain/verification/idempotent.js';
import { createAddressPolicy } from '../domain/webhooks/address.js';
import { createSender } from '../domain/webhooks/send.js';
import { sweepWebhooks } from '../domain/webhooks/sweep.js';
import { createWebhookWorker } from '../domain/webhooks/worker.js';
import type { Services } from '../graphql/services.js';
import { createHandler, type HandlerOptions } from '../http/handler.js';
import type { Pipeline } from '../http/pipeline.js';
import type { Products } from '../products/product.js';
import { keyCacheMbDefault } from '../settings.js';
import { repeat } from './repeat.js';

export interface ComposeOptions extends Omit<HandlerOptions, 'services'> {
  readonly database: Database;
  readonly products: Products;
  readonly log: Logger;
  /** Default: a limiter of this process, in memory. The caller that opened it closes it. */
  readonly limiter?: RateLimiter;
  /** Default: budgets of this process, in memory. */
  readonly budgets?: CostBudgets;
  /** Default: the system's clock. Tests pass their own. */
  readonly clock?: Clock;
  /** Whether expired holds and grants are settled in the background. Off in tests, whose clocks differ. */
  readonly sweepsCredits?: boolean;
  /** Whether expired idempotency records are deleted in the background. Off in the same tests. */
  readonly deletesExpiredRecords?: boolean;
  /** Whether webhooks are delivered in the background. Off in tests, which deliver step by step. */
  readonly deliversWebhooks?: boolean;
  /** Whether webhooks may go to private addresses and over http. Default: false. */
  readonly webhooksAllowPrivate?: boolean;
  /** Networks in CIDR notation that webhooks may go to although they are not public. Default: none. */
  readonly webhooksAllow?: readonly string[];
  /** Whether keys are read into the cache ahead, in the background. */
  readonly fillsKeyCache?: boolean;
  /** Memory budget of the key cache; {@link keyCacheMbDefault} by default. */
  readonly keyCacheMb?: number;
}

export interface Server {
  readonly handler: Pipeline;
  readonly services: Services;
  /** Stops the background jobs and writes buffered data. The caller that opened the database closes it. */
  close(): Promise<void>;
}

const bytesPerMb = 1_000_000;
/** How many `verifyApiKeys` requests run at a time: enough to fill two statements. */
const batchRequestsMax = 10;
const creditSweepMs = 15_000;
const recordCleanupMs = 60_000;
const webhookSweepMs = 60_000;

/** Builds the server on an open, migrated database. Tests and the real start use the same function. */
export function composeServer({
  database,
  products,
  log,
  limiter = createLocalLimiter(),
  budgets = createLocalBudgets(),
  clock = systemClock,
  sweepsCredits = true,
  deletesExpiredRecords = true,
  deliversWebhooks = true,
  webhooksAllowPrivate = false,
  webhooksAllow = [],
  fillsKeyCache = true,
  keyCacheMb = keyCacheMbDefault,
  ...options
}: ComposeOptions): Server {
  const { db } = database;
  const keys = createKeyCache(database.run, keyCacheMb * bytesPerMb);
  const cipher = createCipher(options.encryptionKey);
  const uses = createUseRecorder(database.run, log);
  const refusals = createRefusalRecorder({ db, log });
  const verification = {
    db,
    products,
    clock,
    log,
    keys,
    takeCharge: createChargeBatcher({ run: database.run, db, keys }),
    limiter,
    uses,
    authenticationFailures: createAuthenticationFailures(database.run, log),
  };
  const webhookAddresses = createAddressPolicy({ allowsPrivate: webhooksAllowPrivate, networks: webhooksAllow });
  const services: Services = {
    ...verification,
    openReads: database.openReads,
    budgets,
    cipher,
    refusals,
    webhookAddresses,
    commands: createCommandRunner({
      db,
      products,
      clock,
      refusals,
      services: { cipher, uses, webhookAddresses },
    }),
    verifyIdempotently: createIdempotentVerifier(verification),
    limitBatches: pLimit(batchRequestsMax),
  };
  const filling = fillsKeyCache ? fillKeyCache(services) : null;
  const creditSweep = sweepsCredits
    ? repeat(
        creditSweepMs,
        () => sweepCredits(services),
        (error) => log.warn({ err: error }, 'failed to settle expired holds and grants'),
      )
    : null;
  const recordCleanup = deletesExpiredRecords
    ? repeat(
        recordCleanupMs,
        () => deleteExpiredRecords(services),
        (error) => log.warn({ err: error }, 'failed to delete expired idempotency records'),
      )
    : null;
  const webhooks = deliversWebhooks ? deliverWebhooks(services, database) : null;
  return {
    handler: createHandler({ services, ...options }),
    services,
    async close() {
      await Promise.all([filling?.stop(), creditSweep?.stop(), recordCleanup?.stop(), webhooks?.stop()]);
      await services.refusals.close();
      await services.authenticationFailures.close();
      await services.uses.close();
    },
  };
}

/** Reads keys into the cache. If the database fails meanwhile, they are read when they are used. */
function fillKeyCache({ keys, log }: Services): { stop(): Promise<void> } {
  const ending = new AbortController();
  const filled = keys.fill(ending.signal).then(
    () => log.debug({ keys: keys.size, bytes: keys.bytes }, 'filled the key cache'),
    (error: unknown) => log.warn({ err: error }, 'could not fill the key cache; keys are read when they are used'),
  );
  return {
    async stop() {
      ending.abort();
      await filled;
    },
  };
}

/** Delivers pending webhooks, publishes due events, and deletes old ones. */
function deliverWebhooks(services: Services, { run }: Database): { stop(): Promise<unknown> } {
  const worker = createWebhookWorker(services, {
    run,
    send: createSender({ addresses: services.webhookAddresses }),
  });
  worker.start();
  const sweep = repeat(
    webhookSweepMs,
    () => sweepWebhooks(services),
    (error) => services.log.warn({ err: error }, 'failed to publish expiry notices or to delete old webhook events'),
  );
  return { stop: () => Promise.all([worker.stop(), sweep.stop()]) };
}
