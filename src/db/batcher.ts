import DataLoader from 'dataloader';

/** The most items of one statement. */
export const statementSizeMax = 500;

/**
 * Gathers what arrives while a flush is under way, and takes it all with the next one: so one statement serves many requests when there
 * are many, and a request that is alone waits for nobody. Nothing is cached.
 * @param flush answers each item at its place; an Error there fails that item alone.
 * @param sizeMax the most items of one flush
 */
export function createFlushLoader<Item, Result>(
  flush: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>,
  sizeMax = statementSizeMax,
): (item: Item) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let isFlushing = false;

  const flushNext = () => {
    const dispatch = waiting.shift();
    isFlushing = dispatch !== undefined;
    dispatch?.();
  };
  const loader = new DataLoader<Item, Result>(
    async (items) => {
      try {
        return await flush(items);
      } finally {
        flushNext();
      }
    },
    {
      cache: false,
      maxBatchSize: sizeMax,
      batchScheduleFn: (dispatch) => {
        waiting.push(dispatch);
        if (isFlushing) return;
        isFlushing = true;
        // After this turn of the event loop, so that requests which were read from their sockets together go together.
        setImmediate(flushNext);
      },
    },
  );
  return (item) => loader.load(item);
}
