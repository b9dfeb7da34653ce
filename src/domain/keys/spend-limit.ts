import type { SpendPeriod } from '../../generated/prisma/enums.js';
import { parseCredits } from '../access/input.js';

/**
 * The most credits that a key spends in an hour, a day or a month (UTC). Spending counts from when the limit
 * is set.
 */
export interface SpendLimit {
  readonly credits: number;
  readonly period: SpendPeriod;
}

/** A limit as it is stored. @throws ValidationError */
export function parseSpendLimit(limit: SpendLimit | null | undefined): {
  spendLimit: number | null;
  spendPeriod: SpendPeriod | null;
} {
  if (limit == null) return { spendLimit: null, spendPeriod: null };
  return { spendLimit: parseCredits('spendLimit.credits', limit.credits), spendPeriod: limit.period };
}
