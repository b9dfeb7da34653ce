import type { VerificationCode } from '../../products/product.js';

/** What was done with one secret of a key in one hour and ended in one code. */
export interface Tally {
  readonly workspaceId: string;
  readonly apiKeyId: string;
  /** null for credits that were taken without a secret: those of captured holds. */
  readonly secretId: string | null;
  /** Hours since 1970. */
  readonly hour: number;
  readonly code: VerificationCode;
  requests: number;
  credits: number;
  /**
   * Milliseconds since 1970; 0 for none. A number, since a Date for each use would be an object that outlives
   * its request.
   */
  lastUsedAtMs: number;
}

/** By the secret, or by the key where there is no secret. */
type TalliesById = Map<string, Tally>;

/**
 * Adds up what is to be written about uses. Each secret, hour and code takes one tally, however often it is
 * used, so the size depends on the number of keys and not on their traffic; adding to an existing tally
 * allocates nothing. The oldest are taken first.
 */
export class UseBuffer {
  #tallies = new Map<VerificationCode, Map<number, TalliesById>>();
  #order: Tally[] = [];

  /** @param sizeMax the most tallies that are kept */
  constructor(readonly sizeMax: number) {}

  get size(): number {
    return this.#order.length;
  }

  /** @returns false, with nothing kept, where this would be one tally more than fit. */
  add(
    key: { readonly workspaceId: string; readonly id: string },
    secretId: string | null,
    hour: number,
    code: VerificationCode,
    requests: number,
    credits: number,
    lastUsedAtMs: number,
  ): boolean {
    const tally = this.#tallies
      .get(code)
      ?.get(hour)
      ?.get(secretId ?? key.id);
    if (tally !== undefined) {
      tally.requests += requests;
      tally.credits += credits;
      if (tally.lastUsedAtMs < lastUsedAtMs) tally.lastUsedAtMs = lastUsedAtMs;
      return true;
    }
    if (this.size >= this.sizeMax) return false;
    const { workspaceId, id: apiKeyId } = key;
    this.#insert({ workspaceId, apiKeyId, secretId, hour, code, requests, credits, lastUsedAtMs });
    return true;
  }

  /** Takes out the oldest. */
  take(countMax: number): Tally[] {
    const taken = this.#order.splice(0, countMax);
    for (const tally of taken) {
      const byHour = this.#tallies.get(tally.code);
      const byId = byHour?.get(tally.hour);
      byId?.delete(idOf(tally));
      if (byId?.size === 0) byHour?.delete(tally.hour);
    }
    return taken;
  }

  /** Puts back what was taken and could not be written. There is always room for it. */
  putBack(tallies: readonly Tally[]): void {
    for (const tally of tallies) {
      const newer = this.#tallies.get(tally.code)?.get(tally.hour)?.get(idOf(tally));
      if (newer === undefined) {
        this.#insert(tally);
      } else {
        newer.requests += tally.requests;
        newer.credits += tally.credits;
        newer.lastUsedAtMs = Math.max(newer.lastUsedAtMs, tally.lastUsedAtMs);
      }
    }
  }

  #insert(tally: Tally): void {
    const byHour = this.#tallies.get(tally.code) ?? new Map<number, TalliesById>();
    const byId = byHour.get(tally.hour) ?? new Map<string, Tally>();
    this.#tallies.set(tally.code, byHour.set(tally.hour, byId.set(idOf(tally), tally)));
    this.#order.push(tally);
  }
}

function idOf({ secretId, apiKeyId }: Tally): string {
  return secretId ?? apiKeyId;
}
