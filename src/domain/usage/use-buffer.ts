import type { VerificationCode } from '../../products/product.js';

/** What was asked with a key in one hour and ended in one code. */
export interface Tally {
  readonly workspaceId: string;
  readonly apiKeyId: string;
  /** Hours since 1970. */
  readonly hour: number;
  readonly code: VerificationCode;
  requests: number;
  credits: number;
}

/** When a secret was last used. */
export interface LastUse {
  readonly secretId: string;
  /** Milliseconds since 1970: kept in its place, where a Date for each use would be an object that outlives its request. */
  atMs: number;
}

type TalliesByKey = Map<string, Tally>;

/**
 * Adds up what is to be written down about uses. Each key, hour and code is kept once, however often it is used, so what is kept
 * grows with the number of keys and not with their traffic; where it is kept already, adding makes no object. What came first is
 * taken first.
 */
export class UseBuffer {
  #tallies = new Map<VerificationCode, Map<number, TalliesByKey>>();
  #tallyOrder: Tally[] = [];
  #lastUses = new Map<string, LastUse>();

  /** @param sizeMax the most tallies, and the most last uses, that are kept. */
  constructor(readonly sizeMax: number) {}

  get tallyCount(): number {
    return this.#tallyOrder.length;
  }

  get lastUseCount(): number {
    return this.#lastUses.size;
  }

  /** @returns false, with nothing kept, where this would be one more than fit. */
  add(
    workspaceId: string,
    apiKeyId: string,
    hour: number,
    code: VerificationCode,
    requests: number,
    credits: number,
  ): boolean {
    const tally = this.#tallies.get(code)?.get(hour)?.get(apiKeyId);
    if (tally !== undefined) {
      tally.requests += requests;
      tally.credits += credits;
      return true;
    }
    if (this.tallyCount >= this.sizeMax) return false;
    this.#insert({ workspaceId, apiKeyId, hour, code, requests, credits });
    return true;
  }

  /** @returns false, with nothing kept, where this would be one more than fit. */
  touch(secretId: string, atMs: number): boolean {
    const lastUse = this.#lastUses.get(secretId);
    if (lastUse !== undefined) {
      if (lastUse.atMs < atMs) lastUse.atMs = atMs;
      return true;
    }
    if (this.lastUseCount >= this.sizeMax) return false;
    this.#lastUses.set(secretId, { secretId, atMs });
    return true;
  }

  /** Takes out the oldest. */
  takeTallies(countMax: number): Tally[] {
    const taken = this.#tallyOrder.splice(0, countMax);
    for (const { code, hour, apiKeyId } of taken) {
      const byHour = this.#tallies.get(code);
      const byKey = byHour?.get(hour);
      byKey?.delete(apiKeyId);
      if (byKey?.size === 0) byHour?.delete(hour);
    }
    return taken;
  }

  /** Takes out the oldest. */
  takeLastUses(countMax: number): LastUse[] {
    const taken: LastUse[] = [];
    for (const lastUse of this.#lastUses.values()) {
      if (taken.length === countMax) break;
      taken.push(lastUse);
    }
    for (const { secretId } of taken) this.#lastUses.delete(secretId);
    return taken;
  }

  /** Puts back what was taken and could not be written. It had its place, so it has it still. */
  putBack({ tallies = [], lastUses = [] }: { tallies?: readonly Tally[]; lastUses?: readonly LastUse[] }): void {
    for (const tally of tallies) {
      const { code, hour, apiKeyId } = tally;
      const newer = this.#tallies.get(code)?.get(hour)?.get(apiKeyId);
      if (newer === undefined) {
        this.#insert(tally);
      } else {
        newer.requests += tally.requests;
        newer.credits += tally.credits;
      }
    }
    for (const lastUse of lastUses) {
      const newer = this.#lastUses.get(lastUse.secretId);
      if (newer === undefined || newer.atMs < lastUse.atMs) this.#lastUses.set(lastUse.secretId, lastUse);
    }
  }

  #insert(tally: Tally): void {
    const byHour = this.#tallies.get(tally.code) ?? new Map<number, TalliesByKey>();
    const byKey = byHour.get(tally.hour) ?? new Map<string, Tally>();
    this.#tallies.set(tally.code, byHour.set(tally.hour, byKey.set(tally.apiKeyId, tally)));
    this.#tallyOrder.push(tally);
  }
}
