import type { Logger } from 'pino';
import type { Clock } from '../clock.js';
import type { Db } from '../db/transaction.js';
import type { Products } from '../products/product.js';
import type { Cipher } from './access/cipher.js';
import type { RefusalRecorder } from './audit/refusals.js';
import type { TakeCharge } from './credits/charge.js';
import type { AuthenticationFailures } from './identity/authentication-failures.js';
import type { KeyCache } from './keys/key-cache.js';
import type { RateLimiter } from './rate-limits/limiter.js';
import type { UseRecorder } from './usage/use-recorder.js';

/** What the domain works with. Made once when the server is composed; tests hand in a clock of their own. */
export interface Deps {
  readonly db: Db;
  readonly products: Products;
  readonly clock: Clock;
  readonly keys: KeyCache;
  readonly takeCharge: TakeCharge;
  readonly cipher: Cipher;
  readonly limiter: RateLimiter;
  readonly uses: UseRecorder;
  readonly refusals: RefusalRecorder;
  readonly authenticationFailures: AuthenticationFailures;
  /** Whether webhooks may go to private addresses and over http: for development. */
  readonly webhooksAllowPrivate: boolean;
  readonly log: Logger;
}
