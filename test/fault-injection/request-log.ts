import type { Customer } from './customers.js';

/** A charge that somebody asked for. `quantity` is its name as well: nobody else asks for the same. */
export interface ChargeOrder {
  readonly workspaceId: string;
  readonly quantity: number;
  readonly credits: number;
  readonly hold: boolean;
  readonly idempotencyKey: string | null;
  /** As it was acknowledged; null until it is. */
  chargeId: string | null;
  /** How its hold ended, as it was acknowledged. */
  settled: { readonly state: 'CAPTURED' | 'RELEASED'; readonly credits: number } | null;
}

/** Credits that were to be added. `reason` is its name as well. */
export interface GrantOrder {
  readonly workspaceId: string;
  readonly credits: number;
  readonly reason: string;
  readonly idempotencyKey: string | null;
  /** As it was acknowledged; null until it is. */
  entryId: string | null;
}

/** All that was asked of the servers, and what of it they acknowledged: what the database has to agree with in the end. */
export interface RequestLog {
  readonly charges: readonly ChargeOrder[];
  readonly grants: readonly GrantOrder[];
  /** How many requests were answered, were told to come back, or ended without an answer. */
  readonly heard: Record<'data' | 'unavailable' | 'lost', number>;
  orderCharge(customer: Customer, rest: { credits: number; hold: boolean; isRetried: boolean }): ChargeOrder;
  orderGrant(customer: Customer, rest: { credits: number; isRetried: boolean }): GrantOrder;
}

/** Small enough to round up to one more credit at the most, and large enough to tell orders apart. */
const quantityStep = 1e-6;

export function createRequestLog(): RequestLog {
  const charges: ChargeOrder[] = [];
  const grants: GrantOrder[] = [];
  return {
    charges,
    grants,
    heard: { data: 0, unavailable: 0, lost: 0 },
    orderCharge({ workspaceId }, { credits, hold, isRetried }) {
      const number = charges.length + 1;
      // Digits beyond the sixth would be those of binary fractions.
      const quantity = Number((credits - 1 + number * quantityStep).toFixed(6));
      const idempotencyKey = isRetried ? `charge-${number}` : null;
      const order = { workspaceId, quantity, credits, hold, idempotencyKey, chargeId: null, settled: null };
      charges.push(order);
      return order;
    },
    orderGrant({ workspaceId }, { credits, isRetried }) {
      const number = grants.length + 1;
      const idempotencyKey = isRetried ? `grant-${number}` : null;
      const order = { workspaceId, credits, reason: `order ${number}`, idempotencyKey, entryId: null };
      grants.push(order);
      return order;
    },
  };
}
