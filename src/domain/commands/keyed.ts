import { type Db, transaction } from '../../db/transaction.js';
import type { Actor } from '../access/principal.js';
import type { Deps } from '../deps.js';
import type { InFlight } from './in-flight.js';
import { fingerprintInput, hashKey, type KeyedCall } from './keyed-call.js';
import { expiryOf, refuse, runOnce } from './once.js';
import { type InputOf, type Operation, type OperationName, operations } from './operations.js';
import { keepResult, restoreResult } from './recorded-result.js';

/** A function of the domain that changes something. */
type Write<Input, Result> = (deps: Deps, actor: Actor, input: Input) => Promise<Result>;

/** Binds functions of the domain to what they work with, so that a request under an idempotency key does its work once. */
export function createKeyed(deps: Deps, inFlight: InFlight) {
  return function keyed<Name extends OperationName, Input extends InputOf<Name>, Result extends object>(
    name: Name,
    write: Write<Input, Result>,
  ) {
    return (actor: Actor, input: Input): Promise<Result> =>
      actor.idempotency == null
        ? write(deps, actor, input)
        : runKeyed(deps, inFlight, actor.idempotency, name, write, actor, input);
  };
}

async function runKeyed<Input, Result extends object>(
  deps: Deps,
  inFlight: InFlight,
  call: KeyedCall,
  name: OperationName,
  write: Write<Input, Result>,
  actor: Actor,
  input: Input,
): Promise<Result> {
  // `keyed` sees to it that the input is one of this operation.
  const operation = operations[name] as Operation<Input>;
  const keyHash = hashKey(call.key);
  const run = (within: Deps) => write(within, actor, input);
  const place = await operation.findPlace(deps, actor, input, keyHash);
  if (place === null) return transaction(deps.db, (tx) => refuse({ ...deps, db: tx as Db }, run));
  const owner = { workspaceId: place.workspaceId, operation: name };
  const createdAt = deps.clock();
  return runOnce<Result>(deps, inFlight, {
    call,
    claim: {
      keyHash,
      space: operation.space,
      ...place,
      operation: name,
      fingerprint: fingerprintInput(call.key, input),
      createdAt,
      expiresAt: expiryOf(deps, place.product, createdAt),
    },
    mayAsk: (db) => operation.allows(db, deps, actor, place),
    mayRepeat: (db, original) => operation.allows(db, deps, actor, original),
    run,
    stands: () => true,
    write: (result) => keepResult(result, operation.secrets, call, owner),
    read: (recorded) => restoreResult(recorded, operation.secrets, call, owner) as Result,
  });
}
