import type { Logger } from 'pino';
import type { Database } from './db/database.js';
import { createUseRecorder } from './domain/api-keys/use-recorder.js';
import { createTill } from './domain/credits/charge.js';
import { sweepCredits } from './domain/credits/sweep.js';
import { type Clock, type Deps, systemClock } from './domain/deps.js';
import type { RateLimiter } from './domain/rate-limits/limiter.js';
import { createLocalLimiter } from './domain/rate-limits/open-limiter.js';
import { createCipher } from './domain/signing-secrets/cipher.js';
import { createKeyFinder } from './domain/verification/key-record.js';
import { createHandler, type Handler, type HandlerOptions } from './http/handler.js';
import type { Products } from './products/product.js';
import { repeat } from './repeat.js';

export interface ComposeOptions extends Omit<HandlerOptions, 'deps'> {
  readonly database: Database;
  readonly products: Products;
  readonly log: Logger;
  /** One of its own, in memory, unless one is given. Whoever opened it closes it. */
  readonly limiter?: RateLimiter;
  /** The system's unless a test hands in its own. */
  readonly clock?: Clock;
  /** Whether expired holds and grants are swept up in the background: not by tests, whose clocks differ over one database. */
  readonly sweepsCredits?: boolean;
}

export interface Server {
  readonly handler: Handler;
  readonly deps: Deps;
  /** Ends the background work and writes what is buffered. The database stays open: whoever opened it closes it. */
  close(): Promise<void>;
}

const creditSweepMs = 15_000;

/** Puts the server together over an open, migrated database. Tests and the real start do it the same way. */
export function composeServer({
  database,
  products,
  log,
  limiter = createLocalLimiter(),
  clock = systemClock,
  sweepsCredits = true,
  ...options
}: ComposeOptions): Server {
  const { db } = database;
  const deps: Deps = {
    db,
    products,
    clock,
    log,
    findKeyRecord: createKeyFinder(database.run),
    takeCharge: createTill(database),
    cipher: createCipher(options.encryptionKey),
    limiter,
    uses: createUseRecorder(database.run, log),
  };
  const creditSweep = sweepsCredits
    ? repeat(
        creditSweepMs,
        () => sweepCredits(deps),
        (error) => log.warn({ err: error }, 'could not sweep expired holds and grants'),
      )
    : null;
  return {
    handler: createHandler({ deps, ...options }),
    deps,
    async close() {
      await creditSweep?.stop();
      await deps.uses.close();
    },
  };
}
