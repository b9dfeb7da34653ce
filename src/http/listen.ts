import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createServerAdapter } from '@whatwg-node/server';
import { StartError } from '../errors.js';
import { createDirectTransport } from './direct-transport.js';
import type { Handler } from './handler.js';

/** Every wait has a limit, and the client's comes first. */
const limits = {
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** Longer than the minute that load balancers keep a connection, so that they let go first. */
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  // Node would drop the second of two Authorization headers in silence. Joined, they are refused.
  joinDuplicateHeaders: true,
} as const;

/** From the first byte to the last of the answer: a client that does not read holds nothing for longer. */
const exchangeMsMax = 120_000;

/** How long a client that was refused may take to notice. */
const refusedMsMax = 1_000;

/** What is in flight when the server closes may take this long. */
const drainMsMax = 10_000;
const sweepMs = 50;

export interface Listening {
  /** The port that was given by the system, where 0 was asked for. */
  readonly port: number;
  /** Stops accepting, finishes what is in flight, and ends what idles. Bounded. */
  close(): Promise<void>;
}

/** Serves the handler over HTTP. @throws StartError where the address cannot be had. */
export async function listen(handler: Handler, { host, port }: { host: string; port: number }): Promise<Listening> {
  const adapter = createServerAdapter<{ req: IncomingMessage }>((request, { req }) =>
    handler.fetch(request, { address: req.socket.remoteAddress ?? null }),
  );
  const listener: RequestListener = (request, response) => {
    waitForRefused(request, response);
    adapter.requestListener(request, response);
  };
  const server = createServer(limits, createDirectTransport(handler, listener));
  server.on('request', limitExchange);
  const unused = trackUnused(server);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw explain(error, host, port);
  }
  return { port: portOf(server), close: () => close(server, handler, unused) };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function limitExchange(_request: IncomingMessage, response: ServerResponse): void {
  const end = setTimeout(() => response.destroy(), exchangeMsMax);
  response.once('close', () => clearTimeout(end));
}

/**
 * A request that is refused before its body has come goes on sending. What closes such a connection at once takes the answer with it,
 * so it is given a moment to read it.
 */
function waitForRefused(request: IncomingMessage, response: ServerResponse): void {
  response.once('finish', () => {
    if (request.complete) return;
    const { socket } = request;
    const end = setTimeout(() => socket.destroy(), refusedMsMax);
    const forget = () => {
      clearTimeout(end);
      socket.off('close', forget);
    };
    socket.once('close', forget);
    request.once('end', forget);
  });
}

/** Connections over which nothing has come yet. Browsers open such in advance, and Node takes them for busy. */
function trackUnused(server: Server): () => Socket[] {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', ({ socket }) => sockets.delete(socket));
  return () => [...sockets].filter(({ bytesRead }) => bytesRead === 0);
}

async function close(server: Server, handler: Handler, unused: () => Socket[]): Promise<void> {
  handler.drain();
  const closed = once(server, 'close');
  server.close();
  for (const socket of unused()) socket.destroy();
  // A connection may fall idle after its last answer; Node looks for idle ones only at the moment it is asked.
  const sweep = setInterval(() => server.closeIdleConnections(), sweepMs);
  const end = setTimeout(() => server.closeAllConnections(), drainMsMax);
  await closed;
  clearInterval(sweep);
  clearTimeout(end);
}

function explain(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return new StartError(`Port ${port} on ${host} is in use. Stop what listens there, or set PORT to another one.`);
    case 'EACCES':
      return new StartError(
        `This user may not listen on port ${port}. Set PORT to 1024 or more, and let a proxy listen on ${port}.`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartError(
        `This machine has no address ${host}. Set HOST to one that it has, such as 127.0.0.1 or 0.0.0.0.`,
      );
    default:
      return error;
  }
}
