import { idempotencyKeyLengthMax } from '../domain/access/input.js';
import type { IdempotentRequest } from '../domain/commands/idempotency.js';
import { ValidationError } from '../errors.js';
import { type RequestScope, readHeader } from './request-scope.js';

const header = 'Idempotency-Key';

/** 1 to 255 printable characters without blanks and quotes, as vendors write a key. */
const bare = new RegExp(`^[!#-~][!-~]{0,${idempotencyKeyLengthMax - 1}}$`);

/** A string of RFC 9651, 3.3.3, as draft-ietf-httpapi-idempotency-key-header writes a key. */
const quoted = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/;

/**
 * Reads the idempotency key of a POST. A GET only reads, and can be repeated without a key.
 * @throws ValidationError for a header that is not a key
 */
export function readIdempotencyKey(scope: RequestScope): IdempotentRequest | null {
  const value = readHeader(scope.request, 'idempotency-key');
  if (value === null || scope.method !== 'POST') return null;
  return {
    key: parseKey(value.trim()),
    isSelected: () => true,
    onReplay(inputDiffers) {
      scope.responseHeaders.set('idempotency-replayed', 'true');
      if (inputDiffers) scope.responseHeaders.set('idempotency-body-differs', 'true');
    },
  };
}

/** A bare and a quoted key with the same characters are the same key. */
function parseKey(value: string): string {
  if (bare.test(value)) return value;
  const key = quoted.exec(value)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? '';
  if (key.length < 1 || key.length > idempotencyKeyLengthMax) {
    throw new ValidationError(
      header,
      `An ${header} has 1 to ${idempotencyKeyLengthMax} printable characters; a UUID is best. Quote it if it contains blanks.`,
    );
  }
  return key;
}
