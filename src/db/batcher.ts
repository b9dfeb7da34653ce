import DataLoader from 'dataloader';

/** The most items of one statement. */
export const statementSizeMax = 500;

/**
 * Collects the items that arrive while a batch runs, and runs them all as the next batch: so one statement
 * serves many requests when there are many, and a single request does not wait. Only one batch runs at a
 * time. Nothing is cached.
 * @param runBatch returns one result per item, in order; an Error fails that item alone.
 * @param sizeMax the most items of one batch
 */
export function createBatcher<Item, Result>(
  runBatch: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>,
  sizeMax = statementSizeMax,
): (item: Item) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let isRunning = false;

  const runNext = () => {
    const dispatch = waiting.shift();
    isRunning = dispatch !== undefined;
    dispatch?.();
  };
  const loader = new DataLoader<Item, Result>(
    async (items) => {
      try {
        return await runBatch(items);
      } finally {
        runNext();
      }
    },
    {
      cache: false,
      maxBatchSize: sizeMax,
      batchScheduleFn: (dispatch) => {
        waiting.push(dispatch);
        if (isRunning) return;
        isRunning = true;
        // After this turn of the event loop, so that requests which were read from their sockets together go
        // together.
        setImmediate(runNext);
      },
    },
  );
  return (item) => loader.load(item);
}
