import { createHash, createHmac } from 'node:crypto';

/** A request that its client can repeat: the key that it chose, and what it learns of a repetition. */
export interface KeyedCall {
  /** 1 to 255 printable ASCII characters. */
  readonly key: string;
  /** Whether the client asks for a part of the result, by its name: a secret that nobody asks for need not be at hand. */
  asks(part: string): boolean;
  /** Told when the answer repeats an earlier one, and whether something else was asked this time. */
  onReplay(bodyDiffers: boolean): void;
}

/**
 * SHA-256 of a key: all that is stored of it. Each call of a batch has a place, and so a key of its own, which no client can choose:
 * keys have no line breaks.
 */
export function hashKey(key: string, place = 0): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    createHash('sha256')
      .update(place === 0 ? key : `${place}\n${key}`)
      .digest(),
  );
}

/**
 * What tells two inputs apart. It is keyed by the idempotency key, so that whoever reads the database cannot try out which address was
 * invited.
 */
export function fingerprintInput(key: string, input: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHmac('sha256', key).update(canonical(input)).digest());
}

/** JSON with the names of each object in one order, so that the order in which a client writes them does not matter. */
function canonical(input: unknown): string {
  return JSON.stringify(input, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
