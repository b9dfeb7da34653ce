/** `npm run test:full` sets it: fault injection, load and long property tests then run at full length. */
const isFull = process.env.TEST_FULL === 'true';

/** A count for a long test: by default a short form, which exercises every kind of event at least once. */
export function scaled({ full, short }: { full: number; short: number }): number {
  return isFull ? full : short;
}
