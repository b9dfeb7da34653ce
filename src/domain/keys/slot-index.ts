const initialSize = 1_024;

/**
 * Finds the slots of a table by a hash: open addressing with linear probing over one `Int32Array`, about 8
 * bytes for each entry. Several entries may share a hash; what they stand for is compared by the caller. The
 * hashes have to be evenly distributed, as parts of SHA-256 and of random ids are.
 */
export class SlotIndex {
  /** Slot + 1; 0 is empty. */
  #entries = new Int32Array(initialSize);
  #size = 0;
  readonly #hashOf: (slot: number) => number;

  /** @param hashOf the 32-bit hash of an entry, which must not change as long as it is in the index */
  constructor(hashOf: (slot: number) => number) {
    this.#hashOf = hashOf;
  }

  get bytes(): number {
    return this.#entries.byteLength;
  }

  /** The first entry that matches, or -1. */
  find(hash: number, matches: (slot: number) => boolean): number {
    const mask = this.#entries.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = this.#entryAt(at);
      if (slot < 0 || matches(slot)) return slot;
    }
  }

  add(slot: number): void {
    if (this.#size * 4 >= this.#entries.length * 3) this.#grow();
    this.#insert(slot);
    this.#size += 1;
  }

  /** Removes an entry that is in the index, and closes the gap that it leaves. */
  remove(slot: number): void {
    const mask = this.#entries.length - 1;
    let gap = this.#hashOf(slot) & mask;
    while (this.#entryAt(gap) !== slot) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; this.#entryAt(at) >= 0; at = (at + 1) & mask) {
      // An entry moves into the gap unless that is before the place where a search for it begins.
      const home = this.#hashOf(this.#entryAt(at)) & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      this.#entries[gap] = this.#entries[at] ?? 0;
      gap = at;
    }
    this.#entries[gap] = 0;
    this.#size -= 1;
  }

  /** -1 where there is none. */
  #entryAt(at: number): number {
    return (this.#entries[at] ?? 0) - 1;
  }

  #insert(slot: number): void {
    const mask = this.#entries.length - 1;
    let at = this.#hashOf(slot) & mask;
    while (this.#entryAt(at) >= 0) at = (at + 1) & mask;
    this.#entries[at] = slot + 1;
  }

  #grow(): void {
    const entries = this.#entries;
    this.#entries = new Int32Array(entries.length * 2);
    for (const entry of entries) if (entry > 0) this.#insert(entry - 1);
  }
}
