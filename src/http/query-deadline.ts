import type { ServerResponse } from 'node:http';
import { QueryTimeoutError } from '../errors.js';

/** How long the execution of a query may take. */
export const queryMsMaxDefault = 10_000;

/** The client has closed the connection before its response. Nothing is sent. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

export interface QueryDeadline {
  /** Aborts with a {@link ClientGoneError} or a {@link QueryTimeoutError}. */
  readonly signal: AbortSignal;
  /** Rejects when the signal aborts, with its reason. */
  readonly aborted: Promise<never>;
  /** To be called after the execution, which then no longer ends by itself. */
  end(): void;
}

/** Limits the execution of a query: it ends when its client goes away, or after `msMax`. */
export function startQueryDeadline(response: ServerResponse, msMax: number): QueryDeadline {
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // It also rejects when no caller waits for it.
  aborted.catch(() => undefined);
  const leave = () => controller.abort(new ClientGoneError('The client has closed the connection.'));
  const timer = setTimeout(() => controller.abort(new QueryTimeoutError(msMax)), msMax);
  response.once('close', leave);
  if (response.destroyed) leave();
  return {
    signal,
    aborted,
    end() {
      clearTimeout(timer);
      response.off('close', leave);
    },
  };
}
