import DataLoader from 'dataloader';

/** The most items of one statement. */
export const statementSizeMax = 500;

export interface BatcherOptions {
  /** Most items of one batch. Default: {@link statementSizeMax}. */
  readonly sizeMax?: number;
  /** How many batches may run at the same time if all but one of them are full. Default: 1. */
  readonly concurrencyMax?: number;
}

/**
 * Collects the items that arrive while a batch runs, and runs them all as the next batch: so one statement
 * serves many requests when there are many, and a single request does not wait. A full batch cannot grow
 * while it waits, so it need not wait. Nothing is cached.
 * @param runBatch returns one result per item, in order; an Error fails that item alone.
 */
export function createBatcher<Item, Result>(
  runBatch: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>,
  { sizeMax = statementSizeMax, concurrencyMax = 1 }: BatcherOptions = {},
): (item: Item) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let newestSize = 0;
  let runningCount = 0;

  // All waiting batches but the newest are full.
  const hasFullBatch = () => waiting.length > 1 || newestSize >= sizeMax;
  const runNext = () => {
    while (waiting.length > 0 && (runningCount === 0 || (runningCount < concurrencyMax && hasFullBatch()))) {
      runningCount += 1;
      waiting.shift()?.();
    }
  };
  const loader = new DataLoader<Item, Result>(
    async (items) => {
      try {
        return await runBatch(items);
      } finally {
        runningCount -= 1;
        runNext();
      }
    },
    {
      cache: false,
      maxBatchSize: sizeMax,
      batchScheduleFn: (dispatch) => {
        newestSize = 0;
        waiting.push(dispatch);
        // After this turn of the event loop, so that requests which were read from their sockets together go
        // together.
        if (runningCount === 0 && waiting.length === 1) setImmediate(runNext);
      },
    },
  );
  return (item) => {
    const result = loader.load(item);
    newestSize += 1;
    if (newestSize >= sizeMax && runningCount > 0) runNext();
    return result;
  };
}
