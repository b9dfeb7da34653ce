import type { Customer } from './customers.js';

/** A charge that a client requested. The unique `quantity` identifies it. */
export interface ChargeOrder {
  readonly workspaceId: string;
  readonly quantity: number;
  readonly credits: number;
  readonly hold: boolean;
  readonly idempotencyKey: string | null;
  /** As it was acknowledged; null until it is. */
  chargeId: string | null;
  /** The acknowledged end of its hold; null until it is acknowledged. */
  settled: { readonly state: 'CAPTURED' | 'RELEASED'; readonly credits: number } | null;
}

/** A grant that a client requested. The unique `reason` identifies it. */
export interface GrantOrder {
  readonly workspaceId: string;
  readonly credits: number;
  readonly reason: string;
  readonly idempotencyKey: string | null;
  /** As it was acknowledged; null until it is. */
  entryId: string | null;
}

/** All requests to the servers and their acknowledgements, which the database must agree with in the end. */
export interface RequestLog {
  readonly charges: readonly ChargeOrder[];
  readonly grants: readonly GrantOrder[];
  /** The number of requests that were answered, refused as unavailable, or lost without a response. */
  readonly heard: Record<'data' | 'unavailable' | 'lost', number>;
  orderCharge(customer: Customer, rest: { credits: number; hold: boolean; isRetried: boolean }): ChargeOrder;
  orderGrant(customer: Customer, rest: { credits: number; isRetried: boolean }): GrantOrder;
}

/** Small enough to add at most one credit by rounding up, and large enough to distinguish orders. */
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
      // Removes digits that come from binary fractions.
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
