import { ValidationError } from '../../errors.js';

/** How long one bucket of usage is. Days and months are those of UTC. */
export type UsageBucketSize = 'HOUR' | 'DAY' | 'MONTH';

export interface UsageRange {
  readonly from: Date;
  readonly to: Date;
  readonly bucket: UsageBucketSize;
}

/** Buckets that follow one another. */
export interface UsageBuckets {
  readonly size: UsageBucketSize;
  /** Oldest first; at least one. */
  readonly starts: readonly Date[];
  /** Where the last one ends. */
  readonly end: Date;
}

/**
 * The most buckets of one call: some 40 days in hours, 13 months in days, 3 years in months. So what one call
 * reads is bounded too.
 */
export const bucketsMax: Readonly<Record<UsageBucketSize, number>> = { HOUR: 1_000, DAY: 400, MONTH: 36 };

const hourMs = 3_600_000;
const bucketMs: Readonly<Record<UsageBucketSize, number>> = {
  HOUR: hourMs,
  DAY: 24 * hourMs,
  MONTH: 30.4 * 24 * hourMs,
};
const noun: Readonly<Record<UsageBucketSize, string>> = { HOUR: 'hours', DAY: 'days', MONTH: 'months' };

/**
 * The buckets that a range touches: the first is the one that `from` falls in, the last begins before `to`.
 * They are whole, so a bar of a chart shows the same whatever the range.
 * @throws ValidationError for a range that is empty, has more buckets than {@link bucketsMax}, or begins
 *   before 1970.
 */
export function decideBuckets({ from, to, bucket }: UsageRange): UsageBuckets {
  if (from.getTime() < 0) throw new ValidationError('from', 'There was no usage before 1970.');
  if (from >= to) throw new ValidationError('to', 'It must be later than `from`.');
  const starts: Date[] = [];
  let start = startOfBucket(from, bucket);
  while (start < to) {
    if (starts.length === bucketsMax[bucket]) {
      const size = `At most ${bucketsMax[bucket]} ${noun[bucket]} can be asked for at once.`;
      throw new ValidationError(
        'to',
        `${size} Ask for a shorter time${bucket === 'MONTH' ? '' : ' or larger buckets'}.`,
      );
    }
    starts.push(start);
    start = startOfNextBucket(start, bucket);
  }
  return { size: bucket, starts, end: start };
}

/**
 * About how many buckets a range has, for judging what a request costs before it is checked. Never throws.
 */
export function estimateBuckets({ from, to, bucket }: UsageRange): number {
  const count = Math.ceil((to.getTime() - from.getTime()) / bucketMs[bucket]) + 1;
  return Math.min(Math.max(count, 1), bucketsMax[bucket]);
}

function startOfBucket(time: Date, bucket: UsageBucketSize): Date {
  const start = new Date(time);
  start.setUTCMinutes(0, 0, 0);
  if (bucket !== 'HOUR') start.setUTCHours(0);
  if (bucket === 'MONTH') start.setUTCDate(1);
  return start;
}

function startOfNextBucket(start: Date, bucket: UsageBucketSize): Date {
  const next = new Date(start);
  if (bucket === 'MONTH') next.setUTCMonth(next.getUTCMonth() + 1);
  else next.setTime(next.getTime() + bucketMs[bucket]);
  return next;
}
