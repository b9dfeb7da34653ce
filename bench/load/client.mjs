import { startScript, stop } from '../child.mjs';

/** Starts the load generator. */
export async function startGenerator() {
  const { child } = await startScript(new URL('./generator.mjs', import.meta.url));
  return {
    pid: child.pid,
    /**
     * Runs one window of load.
     * @param {import('./generator.mjs').Order} order
     * @param {{ onBegin: () => void, onEnd: () => void }} window called when counting begins and ends
     */
    run: (order, window) => runWindow(child, order, window),
    stop: () => stop(child),
  };
}

/**
 * Sends an order to a process that answers with `begin`, `end` and `result` (or `failure`).
 * @param {import('node:child_process').ChildProcess} child
 * @param {object} order
 * @param {{ onBegin: () => void, onEnd: () => void }} window
 */
export function runWindow(child, order, { onBegin, onEnd }) {
  return new Promise((resolve, reject) => {
    const onExit = () => finish(() => reject(new Error('A process of the bench ended during a window.')));
    const onMessage = (message) => {
      if (message.kind === 'begin') onBegin();
      else if (message.kind === 'end') onEnd();
      else if (message.kind === 'result') finish(() => resolve(message.result));
      else if (message.kind === 'failure') finish(() => reject(new Error(message.message)));
    };
    const finish = (settle) => {
      child.off('message', onMessage);
      child.off('exit', onExit);
      settle();
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(order);
  });
}
