import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * Sends a request to one server. Unlike the global fetch it sends every header unchanged and follows no
 * redirects.
 */
export type Fetch = (path: string, options?: RequestOptions) => Promise<Response>;

/** Statuses that a `Response` accepts only without a body. */
const statusesWithoutBody = [204, 304];

/** Keeps connections open between requests, as a backend does, until `disconnect` is called. */
export function connectTo(port: number): { fetch: Fetch; disconnect(): void } {
  const agent = new Agent({ keepAlive: true });
  return {
    async fetch(path, { method = 'GET', headers, body } = {}) {
      const sending = request({ host: '127.0.0.1', port, agent, path, method, headers });
      const response = await sendAll(sending, body);
      const { statusCode: status = 0, rawHeaders } = response;
      const bytes = await buffer(response);
      return new Response(statusesWithoutBody.includes(status) ? null : new Uint8Array(bytes), {
        status,
        headers: inPairs(rawHeaders),
      });
    },
    disconnect: () => agent.destroy(),
  };
}

async function sendAll(sending: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
  // A server may refuse a body before it is completely sent, and then close the connection.
  sending.on('error', () => undefined);
  sending.end(body);
  const [response] = await answered;
  return response;
}

/** Pairs of names and values, which Node lists alternately. */
function inPairs(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  return pairs;
}
