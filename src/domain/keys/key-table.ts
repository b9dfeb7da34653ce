import { findIdKind, idPrefixes } from '../../db/ids.js';
import type { KeyFields, KeyRecord, OwnDetails, SharedDetails } from './key-record.js';
import { SlotIndex } from './slot-index.js';

/** Details that keys share, held once. */
interface SharedEntry {
  readonly text: string;
  readonly shared: SharedDetails;
  readonly bytes: number;
  /** How many keys share them. */
  count: number;
  /** What the slot of a key holds that has no details of its own: most have none. */
  readonly slot: SlotDetails;
}

interface SlotDetails {
  readonly entry: SharedEntry;
  readonly own: OwnDetails | null;
}

/**
 * Slots are allocated in chunks, so that memory follows the number of keys and nothing is copied when it
 * grows.
 */
const chunkShift = 12;
const chunkSlots = 1 << chunkShift;

/**
 * Of a slot: half of the secret's hash (to find a second secret with it would take 2^127 attempts), and the
 * three ids.
 */
const idBytes = 16;
const hashAt = 0;
const secretIdAt = idBytes;
const keyIdAt = 2 * idBytes;
const workspaceIdAt = 3 * idBytes;
const packedBytes = 4 * idBytes;

/** Numbers of a slot. */
const versionAt = 0;
const nextAt = 1;
const previousAt = 2;
const numbers = 3;

/**
 * Packed bytes, numbers, the reference to the details, the mark of the eviction, and the entries of three
 * indexes.
 */
const slotBytes = packedBytes + 4 * numbers + 8 + 1 + 3 * 8;

/**
 * Of shared details, beside twice their text: the objects, their lists, and the entry in the map. Of own
 * details: all.
 */
const sharedDetailsBytes = 700;
const ownDetailsBytes = 200;

/** How many unpacked records are kept for the keys that are used most. */
const unpackedSize = 16_384;

class Chunk {
  readonly packed = Buffer.alloc(chunkSlots * packedBytes);
  readonly numbers = new Int32Array(chunkSlots * numbers);
  readonly wasUsed = new Uint8Array(chunkSlots);
  readonly details: (SlotDetails | undefined)[] = new Array<undefined>(chunkSlots).fill(undefined);
}

/**
 * Keys in memory, within a budget: about 110 bytes for each, outside V8's heap, where a million objects would
 * have to be marked at each full collection. What keys have in common (product, permissions, features) is
 * held once. A key is found by the hash of its secret; those of one key, and those of one workspace, can be
 * removed without touching any other. When the budget is used up, keys that were not used for the longest
 * time make room, approximately (the clock algorithm).
 */
export class KeyTable {
  readonly #bytesMax: number;
  #chunks: Chunk[] = [];
  /** Slots that were ever filled, and of them those that are empty. */
  #slotsUsed = 0;
  #free: number[] = [];
  #shared = new Map<string, SharedEntry>();
  #detailsBytes = 0;
  #byHash = this.#indexOn(hashAt);
  #byKey = this.#indexOn(keyIdAt);
  /** The first of the slots of each workspace; the others are linked to it. */
  #byWorkspace = this.#indexOn(workspaceIdAt);
  #unpacked: (KeyRecord | undefined)[] = new Array<undefined>(unpackedSize).fill(undefined);
  /** Where the next eviction looks. */
  #hand = 0;
  #lastVersion = 0;

  /** @param bytesMax the budget */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How many secrets are held. */
  get size(): number {
    return this.#slotsUsed - this.#free.length;
  }

  /** About how much memory they take. */
  get bytes(): number {
    return this.size * slotBytes + this.#detailsBytes;
  }

  /** Whether one key more would remove another. */
  get isFull(): boolean {
    return this.bytes + slotBytes > this.#bytesMax;
  }

  has(hash: string): boolean {
    return this.#find(hash) >= 0;
  }

  /** @param hash SHA-256 of a secret, in hex */
  get(hash: string): KeyRecord | null {
    const slot = this.#find(hash);
    if (slot < 0) return null;
    this.#chunkOf(slot).wasUsed[slot & (chunkSlots - 1)] = 1;
    const unpacked = this.#unpacked[slot % unpackedSize];
    return unpacked !== undefined && this.isCurrent(unpacked) && unpacked.slot === slot
      ? unpacked
      : this.#unpack(slot, hash);
  }

  /** Adds a key, or replaces it. The others make room for it. @throws Error for ids of another form */
  put(fields: KeyFields): KeyRecord {
    for (const id of [fields.secretId, fields.id, fields.workspaceId]) {
      if (findIdKind(id) === null) throw new Error(`Not an id: ${id}`);
    }
    const existing = this.#find(fields.hash);
    if (existing >= 0) this.#remove(existing);
    const details = this.#hold(fields);
    while (this.size > 0 && this.isFull) this.#evict();
    const slot = this.#fill(fields, details);
    return this.#unpack(slot, fields.hash);
  }

  /** Whether the key is still held as the record says. */
  isCurrent({ slot, version }: KeyRecord): boolean {
    return slot < this.#slotsUsed && this.#number(slot, versionAt) === version;
  }

  /** Removes what belongs to a key or to a workspace. */
  removeOf(id: string): void {
    if (findIdKind(id) === null) return;
    const bytes = packId(id);
    const hash = bytes.readInt32LE(idBytes - 4);
    const find = (index: SlotIndex, at: number) => index.find(hash, (slot) => this.#holds(slot, at, bytes));
    for (let slot = find(this.#byKey, keyIdAt); slot >= 0; slot = find(this.#byKey, keyIdAt)) this.#remove(slot);
    for (let slot = find(this.#byWorkspace, workspaceIdAt); slot >= 0; slot = find(this.#byWorkspace, workspaceIdAt)) {
      this.#remove(slot);
    }
  }

  clear(): void {
    this.#chunks = [];
    this.#slotsUsed = 0;
    this.#free = [];
    this.#shared = new Map();
    this.#detailsBytes = 0;
    this.#byHash = this.#indexOn(hashAt);
    this.#byKey = this.#indexOn(keyIdAt);
    this.#byWorkspace = this.#indexOn(workspaceIdAt);
    this.#unpacked.fill(undefined);
    this.#hand = 0;
  }

  #indexOn(at: number): SlotIndex {
    // The last bytes: the first ones of an id are a time.
    return new SlotIndex((slot) => this.#chunkOf(slot).packed.readInt32LE(offsetOf(slot) + at + idBytes - 4));
  }

  #find(hash: string): number {
    packHex(hash, 0);
    return this.#byHash.find(scratch.readInt32LE(idBytes - 4), (slot) => this.#holds(slot, hashAt, scratch));
  }

  #holds(slot: number, at: number, bytes: Buffer): boolean {
    const { packed } = this.#chunkOf(slot);
    const start = offsetOf(slot) + at;
    for (let index = 0; index < idBytes; index += 1) if (packed[start + index] !== bytes[index]) return false;
    return true;
  }

  #chunkOf(slot: number): Chunk {
    const chunk = this.#chunks[slot >> chunkShift];
    if (chunk === undefined) throw new Error('There is no such slot.');
    return chunk;
  }

  #number(slot: number, at: number): number {
    return this.#chunkOf(slot).numbers[(slot & (chunkSlots - 1)) * numbers + at] ?? 0;
  }

  #setNumber(slot: number, at: number, value: number): void {
    this.#chunkOf(slot).numbers[(slot & (chunkSlots - 1)) * numbers + at] = value;
  }

  #hold({ shared, own }: KeyFields): SlotDetails {
    const text = JSON.stringify(shared);
    let entry = this.#shared.get(text);
    if (entry === undefined) {
      entry = newEntry(text, shared);
      this.#shared.set(text, entry);
      this.#detailsBytes += entry.bytes;
    }
    entry.count += 1;
    if (hasNothing(own)) return entry.slot;
    this.#detailsBytes += ownDetailsBytes;
    return { entry, own };
  }

  #release({ entry, own }: SlotDetails): void {
    if (own !== null) this.#detailsBytes -= ownDetailsBytes;
    entry.count -= 1;
    if (entry.count > 0) return;
    this.#shared.delete(entry.text);
    this.#detailsBytes -= entry.bytes;
  }

  #fill({ hash, secretId, id, workspaceId }: KeyFields, slotDetails: SlotDetails): number {
    const slot = this.#free.pop() ?? this.#slotsUsed;
    if (slot === this.#slotsUsed) {
      this.#slotsUsed += 1;
      if (slot >> chunkShift === this.#chunks.length) this.#chunks.push(new Chunk());
    }
    const { packed, wasUsed, details } = this.#chunkOf(slot);
    const start = offsetOf(slot);
    packed.write(hash.slice(0, 2 * idBytes), start + hashAt, 'hex');
    packed.set(packId(secretId), start + secretIdAt);
    packed.set(packId(id), start + keyIdAt);
    const workspace = packId(workspaceId);
    packed.set(workspace, start + workspaceIdAt);
    details[slot & (chunkSlots - 1)] = slotDetails;
    wasUsed[slot & (chunkSlots - 1)] = 0;
    this.#lastVersion = (this.#lastVersion + 1) | 0;
    this.#setNumber(slot, versionAt, this.#lastVersion);
    this.#byHash.add(slot);
    this.#byKey.add(slot);
    this.#link(slot, workspace);
    return slot;
  }

  /** Puts a slot behind the first one of its workspace. */
  #link(slot: number, workspace: Buffer): void {
    const first = this.#byWorkspace.find(workspace.readInt32LE(idBytes - 4), (other) =>
      this.#holds(other, workspaceIdAt, workspace),
    );
    this.#setNumber(slot, previousAt, first);
    this.#setNumber(slot, nextAt, first < 0 ? -1 : this.#number(first, nextAt));
    if (first < 0) {
      this.#byWorkspace.add(slot);
      return;
    }
    const second = this.#number(first, nextAt);
    this.#setNumber(first, nextAt, slot);
    if (second >= 0) this.#setNumber(second, previousAt, slot);
  }

  #unlink(slot: number): void {
    const next = this.#number(slot, nextAt);
    const previous = this.#number(slot, previousAt);
    if (next >= 0) this.#setNumber(next, previousAt, previous);
    if (previous >= 0) {
      this.#setNumber(previous, nextAt, next);
      return;
    }
    this.#byWorkspace.remove(slot);
    if (next >= 0) this.#byWorkspace.add(next);
  }

  #remove(slot: number): void {
    const { details } = this.#chunkOf(slot);
    const held = details[slot & (chunkSlots - 1)];
    if (held !== undefined) this.#release(held);
    details[slot & (chunkSlots - 1)] = undefined;
    this.#byHash.remove(slot);
    this.#byKey.remove(slot);
    this.#unlink(slot);
    this.#setNumber(slot, versionAt, 0);
    this.#free.push(slot);
  }

  /** Removes a key that was not used since this came past it last. */
  #evict(): void {
    for (;;) {
      const slot = this.#hand;
      this.#hand = slot + 1 < this.#slotsUsed ? slot + 1 : 0;
      const { details, wasUsed } = this.#chunkOf(slot);
      const index = slot & (chunkSlots - 1);
      if (details[index] === undefined) continue;
      if (wasUsed[index] === 0) {
        this.#remove(slot);
        return;
      }
      wasUsed[index] = 0;
    }
  }

  #unpack(slot: number, hash: string): KeyRecord {
    const { packed, details } = this.#chunkOf(slot);
    const held = details[slot & (chunkSlots - 1)];
    if (held === undefined) throw new Error('The slot is empty.');
    const { shared } = held.entry;
    const own = held.own ?? nothing;
    // One call for the three ids, which lie side by side.
    const ids = packed.toString('hex', offsetOf(slot) + secretIdAt, offsetOf(slot) + packedBytes);
    const record: KeyRecord = {
      slot,
      version: this.#number(slot, versionAt),
      hash,
      secretId: `${idPrefixes.keySecret}_${ids.slice(0, 2 * idBytes)}`,
      id: `${idPrefixes.apiKey}_${ids.slice(2 * idBytes, 4 * idBytes)}`,
      workspaceId: `${idPrefixes.workspace}_${ids.slice(4 * idBytes)}`,
      keyId: own.keyId,
      secretRetiresAt: own.secretRetiresAt,
      expiresAt: own.expiresAt,
      product: shared.product,
      environment: shared.environment,
      permissions: shared.permissions,
      allowedOrigins: shared.allowedOrigins,
      spendLimit: shared.spendLimit,
      spendPeriod: shared.spendPeriod,
      disabledAt: shared.disabledAt,
      revokedAt: shared.revokedAt,
      deletedAt: shared.deletedAt,
      workspaceSuspendedAt: shared.workspaceSuspendedAt,
      features: shared.features,
    };
    this.#unpacked[slot % unpackedSize] = record;
    return record;
  }
}

function offsetOf(slot: number): number {
  return (slot & (chunkSlots - 1)) * packedBytes;
}

const nothing: OwnDetails = { keyId: null, secretRetiresAt: null, expiresAt: null };

function hasNothing({ keyId, secretRetiresAt, expiresAt }: OwnDetails): boolean {
  return keyId === null && secretRetiresAt === null && expiresAt === null;
}

function newEntry(text: string, shared: SharedDetails): SharedEntry {
  const entry: Omit<SharedEntry, 'slot'> = { text, shared, bytes: sharedDetailsBytes + 2 * text.length, count: 0 };
  return Object.assign(entry, { slot: { entry: entry as SharedEntry, own: null } });
}

const scratch = Buffer.alloc(idBytes);

/** Into `scratch`. */
function packHex(text: string, from: number): void {
  for (let index = 0; index < idBytes; index += 1) {
    const at = from + 2 * index;
    scratch[index] = (digitOf(text.charCodeAt(at)) << 4) | digitOf(text.charCodeAt(at + 1));
  }
}

/** Of 0 to 9 and a to f. */
function digitOf(charCode: number): number {
  return charCode < 58 ? charCode - 48 : charCode - 87;
}

/** The bytes of an id that {@link findIdKind} knows, in `scratch`. */
function packId(id: string): Buffer {
  packHex(id, id.length - 2 * idBytes);
  return scratch;
}
