import DataLoader from 'dataloader';
import type { Db } from '../db/transaction.js';
import type { UsageBuckets } from '../domain/usage/buckets.js';
import { readUsage, type UsageBucket, type UsageOwner } from '../domain/usage/read.js';

export interface UsageQuestion {
  /** The id of a key, or of a workspace. */
  readonly ownerId: string;
  readonly buckets: UsageBuckets;
}

/** The usage of many owners: one statement for all who are asked for the same time. */
export function usageLoader(db: Db, owner: UsageOwner): DataLoader<UsageQuestion, UsageBucket[], string> {
  return new DataLoader<UsageQuestion, UsageBucket[], string>(
    async (questions) => {
      const groups = new Map<string, UsageQuestion[]>();
      for (const question of questions) {
        const time = timeOf(question);
        const group = groups.get(time);
        if (group === undefined) groups.set(time, [question]);
        else group.push(question);
      }
      const readers = new Map<string, (ownerId: string) => UsageBucket[]>();
      await Promise.all(
        [...groups].map(async ([time, group]) => {
          const [first] = group;
          if (first === undefined) return;
          const ownerIds = group.map(({ ownerId }) => ownerId);
          readers.set(time, await readUsage(db, owner, ownerIds, first.buckets));
        }),
      );
      return questions.map((question) => readers.get(timeOf(question))?.(question.ownerId) ?? []);
    },
    { cacheKeyFn: (question) => `${question.ownerId} ${timeOf(question)}` },
  );
}

function timeOf({ buckets: { size, starts, end } }: UsageQuestion): string {
  return `${size} ${starts[0]?.getTime()} ${end.getTime()}`;
}
