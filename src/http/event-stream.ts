import type { ExecutionResult } from 'graphql';
import { failedResult, isStream, type OperationResult } from './operation-result.js';

/**
 * Results as server-sent events (GraphQL over Server-Sent Events, distinct connections mode): `next` for each
 * result, then `complete`. A subscription that fails ends with a result that contains its error. Closing the
 * iterator closes the subscription at once; an async generator would wait for its next result.
 */
export class EventStream implements AsyncIterableIterator<string> {
  readonly #results: AsyncIterator<ExecutionResult>;
  readonly #serialize: (result: ExecutionResult) => string;
  #state: 'open' | 'failed' | 'complete' = 'open';

  constructor(result: OperationResult, serialize: (result: ExecutionResult) => string) {
    this.#results = isStream(result) ? result[Symbol.asyncIterator]() : single(result);
    this.#serialize = serialize;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<string, undefined>> {
    if (this.#state === 'complete') return { done: true, value: undefined };
    if (this.#state === 'open') {
      try {
        const next = await this.#results.next();
        if (next.done !== true) return event('next', this.#serialize(next.value));
      } catch (error) {
        this.#state = 'failed';
        void Promise.resolve(this.#results.return?.()).catch(() => undefined);
        return event('next', this.#serialize(failedResult(error)));
      }
    }
    this.#state = 'complete';
    return event('complete', '');
  }

  async return(): Promise<IteratorResult<string, undefined>> {
    this.#state = 'complete';
    await this.#results.return?.();
    return { done: true, value: undefined };
  }
}

function event(name: 'next' | 'complete', data: string): IteratorYieldResult<string> {
  return { done: false, value: `event: ${name}\ndata: ${data}\n\n` };
}

async function* single(result: ExecutionResult): AsyncGenerator<ExecutionResult> {
  yield result;
}
