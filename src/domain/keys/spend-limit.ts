import type { SpendPeriod } from '../../generated/prisma/enums.js';
import { parseCredits } from '../access/input.js';

/**
 * Maximum number of credits that a key can spend per hour, day or month (UTC). Spending counts from the time
 * at which the limit is set.
 */
export interface SpendLimit {
  readonly credits: number;
  readonly period: SpendPeriod;
}

/** Parses a spend limit into its columns; null: no limit. @throws ValidationError */
export function parseSpendLimit(limit: SpendLimit | null | undefined): {
  spendLimit: number | null;
  spendPeriod: SpendPeriod | null;
} {
  if (limit == null) return { spendLimit: null, spendPeriod: null };
  return { spendLimit: parseCredits('spendLimit.credits', limit.credits), spendPeriod: limit.period };
}
