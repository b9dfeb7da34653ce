import type { Clock } from '../../clock.js';
import type { Db } from '../../db/transaction.js';
import { expireGrants } from '../ledger/grant.js';
import { releaseExpiredHolds } from './settle.js';

/**
 * Releases expired holds and expires grants, a limited number per run. Safe to run in several processes:
 * each account is settled under its lock.
 */
export async function sweepCredits(services: { readonly db: Db; readonly clock: Clock }): Promise<void> {
  await releaseExpiredHolds(services);
  await expireGrants(services);
}
