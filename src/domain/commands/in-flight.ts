import { setTimeout as sleep } from 'node:timers/promises';
import { KeyInUseError } from '../../errors.js';

/** How long a request waits for another one under the same key, in the same process; in others the database waits as long. */
const patienceMs = 2_000;

/**
 * Lets the calls under one key through one by one. The database decides between processes; within one, those who wait must not take a
 * connection each, and the embedded database has only one.
 */
export class InFlight {
  readonly #calls = new Map<string, Promise<void>>();

  /** Waits a moment for the others. @returns what to call at the end. @throws KeyInUseError where they take longer */
  async enter(name: string): Promise<() => void> {
    const giveUpAt = performance.now() + patienceMs;
    for (let other = this.#calls.get(name); other !== undefined; other = this.#calls.get(name)) {
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0) throw new KeyInUseError();
      const timer = new AbortController();
      await Promise.race([other, sleep(leftMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
    }
    let end: () => void = () => undefined;
    this.#calls.set(
      name,
      new Promise((resolve) => {
        end = resolve;
      }),
    );
    return () => {
      this.#calls.delete(name);
      end();
    };
  }
}
