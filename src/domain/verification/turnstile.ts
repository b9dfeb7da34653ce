/** Lets so many in at a time. The others wait, in the order in which they came. */
export function createTurnstile(places: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = places;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((enter) => waiting.push(enter));
    try {
      return await work();
    } finally {
      const enterNext = waiting.shift();
      if (enterNext === undefined) free += 1;
      else enterNext();
    }
  };
}
