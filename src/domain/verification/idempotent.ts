import { type Db, runWithin, transaction } from '../../db/transaction.js';
import {
  createKeyLocks,
  decideExpiry,
  fingerprintInput,
  hashKey,
  type IdempotentRequest,
  runIdempotent,
} from '../commands/idempotency.js';
import { decodeResult, encodeResult } from '../commands/stored-result.js';
import { createChargeBatcher } from '../credits/charge.js';
import type { KeyCache } from '../keys/key-cache.js';
import type { VerifyApiKeyInput } from './request.js';
import { type Settle, type Settlement, type Verification, type VerificationServices, verifyApiKey } from './verify.js';

/** The operation and the position of a verification within a request. */
export interface VerificationCall {
  readonly operation: 'verifyApiKey' | 'verifyApiKeys';
  /** The position in the batch, from 0. */
  readonly position: number;
}

export type VerifyIdempotently = (
  request: IdempotentRequest,
  input: VerifyApiKeyInput,
  call: VerificationCall,
) => Promise<Verification>;

/**
 * Verifies as {@link verifyApiKey} does, and charges once per idempotency key. Each replay is checked and
 * counted in the rate limits like any other request, so that it sees a revocation or a suspension; a replay
 * that passes gets the original result and is charged nothing. Idempotency keys of TEST and LIVE are
 * separate, also for charges.
 */
export function createIdempotentVerifier(
  services: VerificationServices & { readonly db: Db; readonly keys: KeyCache },
): VerifyIdempotently {
  const runExclusively = createKeyLocks();
  const { db, keys, products } = services;

  return (request, input, { operation, position }) => {
    const settle: Settle = ({ key, product, request: chargeRequest, at }, conclude) => {
      const keyHash = hashKey(request.key, position);
      const space = `VERIFICATION ${key.environment}`;
      const lockName = `${key.workspaceId} ${space} ${position} ${request.key}`;
      return runExclusively(lockName, () =>
        transaction(db, (tx) =>
          runIdempotent<Settlement, void>(tx, products, {
            request,
            claim: {
              keyHash,
              workspaceId: key.workspaceId,
              space,
              operation,
              fingerprint: fingerprintInput(request.key, input),
              product: product.slug,
              subject: null,
              createdAt: at,
              expiresAt: decideExpiry(products, product.slug, at),
            },
            // A service may verify every key, and this one has just been checked.
            mayReplay: async () => true,
            authorize: async () => undefined,
            run: async () => {
              if (chargeRequest === null) return null;
              const takeCharge = createChargeBatcher({ run: runWithin(tx), db: tx, keys });
              return takeCharge({ key, product, request: chargeRequest, at });
            },
            isFinal: (settlement) => settlement === null || settlement.kind === 'charged',
            store: (settlement) => ({ result: encodeResult(conclude(settlement)), secrets: null }),
            restore: ({ result }) => ({
              kind: 'replayed',
              original: markReplayed(decodeResult(result) as Verification),
            }),
          }),
        ),
      );
    };
    return verifyApiKey(services, input, settle);
  };
}

function markReplayed(original: Verification): Verification {
  return { ...original, charge: original.charge && { ...original.charge, replayed: true } };
}
