import { SecretUnavailableError } from '../../errors.js';
import type { KeyedCall } from './keyed-call.js';
import { openSecrets, type SecretsOwner, sealSecrets } from './once-secrets.js';
import type { Operation } from './operations.js';
import type { RecordedResult } from './record.js';
import { readResult, writeResult } from './result-text.js';

type Secrets = Operation<never>['secrets'];
type Parts = Readonly<Record<string, unknown>>;

/** A result as it is kept: what is shown once is taken out of it and encrypted, where only the client can open it again. */
export function keepResult(result: object, secrets: Secrets, { key }: KeyedCall, owner: SecretsOwner): RecordedResult {
  const parts = Object.entries(result);
  const isSecret = ([name, value]: [string, unknown]) => secrets?.parts.includes(name) && typeof value === 'string';
  const shownOnce = parts.filter(isSecret);
  return {
    result: writeResult(Object.fromEntries(parts.filter((part) => !isSecret(part)))),
    secrets: shownOnce.length === 0 ? null : sealSecrets(key, owner, Object.fromEntries(shownOnce)),
  };
}

/**
 * The result that was kept. Where its secrets were not, they are missing in it, which matters only to a client that asks for them.
 * @throws SecretUnavailableError for such a client
 */
export function restoreResult(
  { result, secrets: sealed }: RecordedResult,
  secrets: Secrets,
  call: KeyedCall,
  owner: SecretsOwner,
): Parts {
  const parts = sayReplayed(readResult(result) as Parts);
  if (sealed !== null) return { ...parts, ...openSecrets(call.key, owner, sealed) };
  const missing = secrets?.parts.filter((name) => !(name in parts)) ?? [];
  if (secrets !== null && missing.some((name) => call.asks(name))) {
    throw new SecretUnavailableError(idOf(parts[secrets.of]));
  }
  return parts;
}

/** Some results say themselves whether they repeat an earlier one. */
function sayReplayed(parts: Parts): Parts {
  return 'replayed' in parts ? { ...parts, replayed: true } : parts;
}

function idOf(part: unknown): string {
  return typeof part === 'object' && part !== null && 'id' in part ? String(part.id) : '';
}
