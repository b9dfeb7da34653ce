import type { Logger } from 'pino';
import type { Clock } from '../clock.js';
import type { OpenReads } from '../db/database.js';
import type { Db } from '../db/transaction.js';
import type { Cipher } from '../domain/access/cipher.js';
import type { RefusalRecorder } from '../domain/audit/refusals.js';
import type { CommandRunner } from '../domain/commands/run-command.js';
import type { TakeCharge } from '../domain/credits/charge.js';
import type { AuthenticationFailures } from '../domain/identity/authentication-failures.js';
import type { KeyCache } from '../domain/keys/key-cache.js';
import type { CostBudgets } from '../domain/rate-limits/cost-budgets.js';
import type { RateLimiter } from '../domain/rate-limits/limiter.js';
import type { UseRecorder } from '../domain/usage/use-recorder.js';
import type { VerifyIdempotently } from '../domain/verification/idempotent.js';
import type { AddressPolicy } from '../domain/webhooks/address.js';
import type { Products } from '../products/product.js';

/** What single commands need beside their transaction. */
export interface CommandServices {
  readonly cipher: Cipher;
  readonly uses: Pick<UseRecorder, 'spend'>;
  readonly webhookAddresses: AddressPolicy;
}

/**
 * What composition builds once and GraphQL and HTTP pass on. Each function of the domain takes only what it
 * needs of it.
 */
export interface Services extends CommandServices {
  /** In a query, for reads only: its statements stop with the query. */
  readonly db: Db;
  readonly openReads: OpenReads;
  readonly products: Products;
  readonly clock: Clock;
  readonly log: Logger;
  readonly keys: KeyCache;
  readonly takeCharge: TakeCharge;
  readonly limiter: RateLimiter;
  readonly budgets: CostBudgets;
  readonly uses: UseRecorder;
  readonly refusals: RefusalRecorder;
  readonly authenticationFailures: AuthenticationFailures;
  readonly commands: CommandRunner<CommandServices>;
  readonly verifyIdempotently: VerifyIdempotently;
  /** Limits how many batches of verifications run at the same time. */
  readonly limitBatches: <Result>(work: () => Promise<Result>) => Promise<Result>;
}
