import { hkdfSync } from 'node:crypto';
import { SecretUnavailableError } from '../../errors.js';
import { type Cipher, createCipher } from '../access/cipher.js';

/** The stored result of a call, for replays. */
export interface StoredResult {
  /** See {@link encodeResult}. */
  readonly result: string;
  /**
   * The shown-once fields, encrypted under the client's key; null: there are none or they are not stored.
   */
  readonly secrets: Uint8Array<ArrayBuffer> | null;
}

type ShownOnce = { readonly of: string; readonly fields: readonly string[] } | null;
type Fields = Readonly<Record<string, unknown>>;

/** The idempotency key of a request, and which fields of the payload it selects. */
interface ReplayRequest {
  readonly key: string;
  isSelected(field: string): boolean;
}

/** The record that encrypted fields are bound to. They cannot be decrypted for another record. */
export interface SecretsOwner {
  readonly workspaceId: string;
  readonly operation: string;
}

/** Separates the shown-once fields from a result, and encrypts them under the client's idempotency key. */
export function storeResult(
  result: object,
  shownOnce: ShownOnce,
  { key }: Pick<ReplayRequest, 'key'>,
  owner: SecretsOwner,
): StoredResult {
  const fields = Object.entries(result);
  const isSecret = ([name, value]: [string, unknown]) => shownOnce?.fields.includes(name) && typeof value === 'string';
  const secrets = fields.filter(isSecret);
  return {
    result: encodeResult(Object.fromEntries(fields.filter((field) => !isSecret(field)))),
    secrets: secrets.length === 0 ? null : encryptSecrets(key, owner, Object.fromEntries(secrets)),
  };
}

/**
 * The result of the original call, without secrets that were not stored.
 * @throws SecretUnavailableError if the client selects such a secret
 */
export function restoreResult(
  { result, secrets }: StoredResult,
  shownOnce: ShownOnce,
  request: ReplayRequest,
  owner: SecretsOwner,
): Fields {
  const fields = markReplayed(decodeResult(result) as Fields);
  if (secrets !== null) return { ...fields, ...decryptSecrets(request.key, owner, secrets) };
  if (shownOnce?.fields.some((name) => !(name in fields) && request.isSelected(name))) {
    throw new SecretUnavailableError(idOf(fields[shownOnce.of]));
  }
  return fields;
}

/** Sets `replayed`, in results that have this field. */
function markReplayed(fields: Fields): Fields {
  return 'replayed' in fields ? { ...fields, replayed: true } : fields;
}

function idOf(record: unknown): string {
  return typeof record === 'object' && record !== null && 'id' in record ? String(record.id) : '';
}

/**
 * UUIDs of versions 4 and 7 (RFC 9562) contain 122 and 74 random bits. Keys of another form may be
 * guessable.
 */
const randomUuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * Encrypts secrets under a key that only the client can derive again: HKDF-SHA-256 of its idempotency key,
 * of which only a hash is stored.
 * @returns null if the idempotency key may be guessable
 */
function encryptSecrets(key: string, owner: SecretsOwner, secrets: Fields): Uint8Array<ArrayBuffer> | null {
  if (!randomUuidPattern.test(key)) return null;
  return cipherOf(key, owner).seal(JSON.stringify(secrets), contextOf(owner));
}

/** @throws Error for a ciphertext of another key or record */
function decryptSecrets(key: string, owner: SecretsOwner, ciphertext: Uint8Array): Record<string, string> {
  return JSON.parse(cipherOf(key, owner).open(ciphertext, contextOf(owner)));
}

function cipherOf(key: string, { workspaceId, operation }: SecretsOwner): Cipher {
  const info = `tollkeeper: secrets of ${operation}`;
  return createCipher(new Uint8Array(hkdfSync('sha256', key, workspaceId, info, 32)));
}

function contextOf({ workspaceId, operation }: SecretsOwner): string {
  return `${workspaceId} ${operation}`;
}

// JSON has no types for times, bytes and large integers. They are encoded as strings that begin with $ and a
// letter. Other strings that begin with $ are escaped with another $.

/**
 * Encodes a result as JSON that {@link decodeResult} decodes to the same value. Undefined properties are
 * left out.
 */
export function encodeResult(result: object | string): string {
  return JSON.stringify(result, function replace(this: Record<string, unknown>, name: string, value: unknown) {
    // JSON.stringify has already turned a Date into a string; `this` still holds the original.
    const original = this[name];
    if (original instanceof Date) return `$t${original.toISOString()}`;
    if (original instanceof Uint8Array) return `$b${Buffer.from(original).toString('base64')}`;
    if (typeof value === 'bigint') return `$n${value}`;
    return typeof value === 'string' && value.startsWith('$') ? `$${value}` : value;
  });
}

/** Decodes the output of {@link encodeResult}. */
export function decodeResult(text: string): unknown {
  return JSON.parse(text, (_name, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith('$')) return value;
    const rest = value.slice(2);
    switch (value[1]) {
      case 't':
        return new Date(rest);
      case 'b':
        return new Uint8Array(Buffer.from(rest, 'base64'));
      case 'n':
        return BigInt(rest);
      default:
        return value.slice(1);
    }
  });
}
