import type { Logger } from 'pino';
import type { Database } from './db/open.js';
import { createUseRecorder } from './domain/api-keys/use-recorder.js';
import { createTill } from './domain/credits/charge.js';
import { releaseExpiredHolds } from './domain/credits/settle.js';
import { type Clock, type Deps, systemClock } from './domain/deps.js';
import { createRollingWindows } from './domain/rate-limits/rolling-windows.js';
import { createCipher } from './domain/signing-secrets/cipher.js';
import { createKeyFinder } from './domain/verification/key-record.js';
import { createHandler, type Handler, type HandlerOptions } from './http/handler.js';
import type { Products } from './products/product.js';
import { repeat } from './repeat.js';

export interface ComposeOptions extends Omit<HandlerOptions, 'deps'> {
  readonly database: Database;
  readonly products: Products;
  readonly log: Logger;
  /** The system's unless a test hands in its own. */
  readonly clock?: Clock;
}

export interface Server {
  readonly handler: Handler;
  readonly deps: Deps;
  /** Ends the background work and writes what is buffered. The database stays open: whoever opened it closes it. */
  close(): Promise<void>;
}

const holdSweepMs = 15_000;

/** Puts the server together over an open, migrated database. Tests and the real start do it the same way. */
export function composeServer({ database, products, log, clock = systemClock, ...options }: ComposeOptions): Server {
  const { db } = database;
  const deps: Deps = {
    db,
    products,
    clock,
    log,
    findKeyRecord: createKeyFinder(database.run),
    takeCharge: createTill(database),
    cipher: createCipher(options.encryptionKey),
    limiter: createRollingWindows(),
    uses: createUseRecorder(db, log),
  };
  const holdSweep = repeat(
    holdSweepMs,
    () => releaseExpiredHolds(deps),
    (error) => log.warn({ err: error }, 'could not release expired holds'),
  );
  return {
    handler: createHandler({ deps, ...options }),
    deps,
    async close() {
      await holdSweep.stop();
      await deps.uses.close();
    },
  };
}
