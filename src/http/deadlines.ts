import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestScope } from './request-scope.js';

/**
 * From the arrival of a request to the last byte of its response, so that a client that does not read holds
 * nothing for longer.
 */
const requestMsMax = 120_000;
const checkIntervalMs = 1_000;

/** Starts the deadline of a request. */
export type StartDeadline = (scope: RequestScope, response: ServerResponse) => Deadline;

/**
 * Ends requests that take too long. One timer checks all connections, because a timer for each request costs
 * several percent of a verification.
 * @param onExpired is called before the connection is closed
 */
export function createDeadlines(onExpired: (scope: RequestScope) => void): StartDeadline {
  /** The requests of each connection, oldest first. There are several only if the client pipelines them. */
  const connections = new Map<Socket, Deadline[]>();
  let timer: NodeJS.Timeout | undefined;

  function check(): void {
    for (const requests of connections.values()) {
      removeSent(requests);
      const [oldest] = requests;
      if (oldest === undefined || !oldest.isOver) continue;
      onExpired(oldest.scope);
      oldest.response.destroy();
    }
  }

  function addConnection(socket: Socket): Deadline[] {
    const requests: Deadline[] = [];
    connections.set(socket, requests);
    timer ??= setInterval(check, checkIntervalMs).unref();
    socket.once('close', () => {
      connections.delete(socket);
      if (connections.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    });
    return requests;
  }

  return (scope, response) => {
    const { socket } = scope.request;
    const requests = connections.get(socket) ?? addConnection(socket);
    removeSent(requests);
    const deadline = new Deadline(scope, response);
    requests.push(deadline);
    return deadline;
  };
}

export class Deadline {
  #startedAt: number;

  constructor(
    readonly scope: RequestScope,
    readonly response: ServerResponse,
  ) {
    this.#startedAt = scope.startedAt;
  }

  get isOver(): boolean {
    return performance.now() - this.#startedAt > requestMsMax;
  }

  /** To be called when the client has taken a part of a stream: it gets the full time again. */
  postpone(): void {
    this.#startedAt = performance.now();
  }
}

function removeSent(requests: Deadline[]): void {
  while (requests[0] !== undefined && isSent(requests[0].response)) requests.shift();
}

function isSent(response: ServerResponse): boolean {
  return response.writableFinished || response.destroyed;
}
