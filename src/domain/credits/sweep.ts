import type { Deps } from '../deps.js';
import { expireGrants } from '../ledger/grant.js';
import { releaseExpiredHolds } from './settle.js';

/** Gives back holds and takes back grants whose time is over. Bounded, and safe on any number of processes at once: each account is settled under its lock. */
export async function sweepCredits(deps: Deps): Promise<void> {
  await releaseExpiredHolds(deps);
  await expireGrants(deps);
}
