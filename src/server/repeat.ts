/**
 * Runs work at once and then at each interval, never twice at the same time, until it is stopped. A failure
 * is reported to `onError` and does not stop it.
 */
export function repeat(intervalMs: number, work: () => Promise<unknown>, onError: (error: unknown) => void) {
  let running: Promise<unknown> = Promise.resolve();
  let isRunning = false;
  const run = () => {
    if (isRunning) return;
    isRunning = true;
    running = work()
      .catch(onError)
      .finally(() => {
        isRunning = false;
      });
  };
  const timer = setInterval(run, intervalMs);
  timer.unref();
  run();
  return {
    /** Waits for the current run. */
    async stop(): Promise<void> {
      clearInterval(timer);
      await running;
    },
  };
}
