import { runWithin } from '../../db/transaction.js';
import type { InFlight } from '../commands/in-flight.js';
import { fingerprintInput, hashKey, type KeyedCall } from '../commands/keyed-call.js';
import { expiryOf, runOnce } from '../commands/once.js';
import { readResult, writeResult } from '../commands/result-text.js';
import { createChargeBatcher } from '../credits/charge.js';
import type { Deps } from '../deps.js';
import type { VerifyApiKey } from './question.js';
import { type Settle, type Settled, type Verification, verifyApiKey } from './verify.js';

/** Which of the verifications of a request this is. */
export interface AskedAs {
  readonly operation: 'verifyApiKey' | 'verifyApiKeys';
  /** From 0. */
  readonly place: number;
}

/**
 * As {@link verifyApiKey}, once under an idempotency key. Every repetition is checked like any other request and counts in the limits, so
 * that an end of the key or a suspension is seen by it too; what passes is shown how the original ended, and is charged nothing. The
 * keys of TEST are apart from those of LIVE, as those of charges are.
 */
export function verifyOnce(
  deps: Deps,
  inFlight: InFlight,
  call: KeyedCall,
  input: VerifyApiKey,
  { operation, place }: AskedAs,
): Promise<Verification> {
  const settle: Settle = (order, conclude) => {
    const { key, product, request, at } = order;
    return runOnce<Settled>(deps, inFlight, {
      call,
      claim: {
        keyHash: hashKey(call.key, place),
        workspaceId: key.workspaceId,
        space: `VERIFICATION ${key.environment}`,
        operation,
        fingerprint: fingerprintInput(call.key, input),
        product: product.slug,
        subject: null,
        createdAt: at,
        expiresAt: expiryOf(deps, product.slug, at),
      },
      // Whoever verifies may verify every key, and this one has just been checked.
      mayAsk: async () => true,
      mayRepeat: async () => true,
      run: async ({ db }) =>
        request && createChargeBatcher({ run: runWithin(db), db, keys: deps.keys })({ ...order, request }),
      stands: (settled) => settled === null || settled.kind === 'charged',
      write: (settled) => ({ result: writeResult(conclude(settled)), secrets: null }),
      read: ({ result }) => ({ kind: 'repeated', original: sayReplayed(readResult(result) as Verification) }),
    });
  };
  return verifyApiKey(deps, input, settle);
}

function sayReplayed(original: Verification): Verification {
  return { ...original, charge: original.charge && { ...original.charge, replayed: true } };
}
