import type { UseRecorder } from './use-recorder.js';

/** Uses that are counted only once what they belong to stands. */
export interface DeferredUses extends UseRecorder {
  /** Counts them. */
  release(): void;
}

/** Holds back what is counted within a transaction, which may come to nothing. */
export function deferUses(uses: UseRecorder): DeferredUses {
  const held: (() => void)[] = [];
  return {
    record: (...use) => void held.push(() => uses.record(...use)),
    spend: (...use) => void held.push(() => uses.spend(...use)),
    note: (...use) => void held.push(() => uses.note(...use)),
    flush: () => uses.flush(),
    close: () => uses.close(),
    release: () => {
      for (const count of held.splice(0)) count();
    },
  };
}
