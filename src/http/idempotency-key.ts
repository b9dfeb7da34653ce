import { idempotencyKeyLengthMax } from '../domain/access/input.js';
import type { KeyedCall } from '../domain/commands/keyed-call.js';
import { ValidationError } from '../errors.js';
import type { Exchange } from './exchange.js';
import type { RequestHead } from './request-head.js';

const header = 'Idempotency-Key';

/** 1 to 255 printable characters without blanks and quotes, as the vendors write a key. */
const bare = new RegExp(`^[!#-~][!-~]{0,${idempotencyKeyLengthMax - 1}}$`);

/** A string of RFC 9651, 3.3.3, as draft-ietf-httpapi-idempotency-key-header writes a key. */
const quoted = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/;

/**
 * The key under which a client can ask again, where it sent one. What asks without changing anything can be asked again anyway.
 * @throws ValidationError for a header that is no key
 */
export function readKeyedCall({ method, headers }: RequestHead, exchange: Exchange): KeyedCall | null {
  const value = headers.get('idempotency-key');
  if (value === null || method !== 'POST') return null;
  return {
    key: parseKey(value.trim()),
    asks: () => true,
    onReplay(bodyDiffers) {
      exchange.responseHeaders.set('idempotency-replayed', 'true');
      if (bodyDiffers) exchange.responseHeaders.set('idempotency-body-differs', 'true');
    },
  };
}

/** Both forms name the same key. */
function parseKey(value: string): string {
  if (bare.test(value)) return value;
  const key = quoted.exec(value)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? '';
  if (key.length < 1 || key.length > idempotencyKeyLengthMax) {
    throw new ValidationError(
      header,
      `An ${header} has 1 to ${idempotencyKeyLengthMax} printable characters; a UUID is best. Quote it where it has blanks.`,
    );
  }
  return key;
}
