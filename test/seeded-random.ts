import { randomInt } from 'node:crypto';

/** Seeded random decisions of a test. The same seed repeats the decisions, but not their timing. */
export interface SeededRandom {
  /** A whole number, with both ends included. */
  between(min: number, max: number): number;
  /** True with a probability of `share` percent. */
  percent(share: number): boolean;
  pick<T>(choices: readonly T[]): T;
  /** A generator derived from this one, for concurrent decisions. */
  branch(): SeededRandom;
}

const seedsMax = 2 ** 32;

/** Uses the seed of FAULT_SEED or a new one, and prints it. */
export function openSeededRandom(purpose: string): SeededRandom {
  const given = process.env.FAULT_SEED;
  const seed = given ? Number(given) : randomInt(seedsMax);
  if (!Number.isInteger(seed) || seed < 0 || seed >= seedsMax) {
    throw new Error(`FAULT_SEED must be a whole number below ${seedsMax}.`);
  }
  console.info(`FAULT_SEED=${seed} decided: ${purpose}`);
  return createChance(seed);
}

function createChance(seed: number): SeededRandom {
  const next = mulberry32(seed);
  const between = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    between,
    percent: (share) => next() * 100 < share,
    pick(choices) {
      const chosen = choices[between(0, choices.length - 1)];
      if (chosen === undefined) throw new Error('There is nothing to choose from.');
      return chosen;
    },
    branch: () => createChance(between(0, seedsMax - 1)),
  };
}

/**
 * Numbers from 0 (included) to 1 (excluded):
 * https://gist.github.com/tommyettinger/46a874533244883189143505d203312c, public domain.
 */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / seedsMax;
  };
}
