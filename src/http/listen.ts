import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { StartError } from '../errors.js';
import type { Pipeline } from './pipeline.js';

/** Every wait has a limit. */
const limits = {
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** Longer than the minute that load balancers keep an idle connection, so that they close it first. */
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  // By default Node drops the second of two Authorization headers. Joined, they are refused.
  joinDuplicateHeaders: true,
} as const;

/** How long requests may take that are in flight when the server closes. */
const drainMsMax = 10_000;
const sweepMs = 50;

export interface Listening {
  /** The port, also if port 0 let the system choose one. */
  readonly port: number;
  /**
   * Stops accepting requests, closes idle connections and waits, within a limit, for the requests in flight.
   */
  close(): Promise<void>;
}

/** Serves the pipeline over HTTP. @throws StartError if it cannot listen on the address */
export async function listen(pipeline: Pipeline, { host, port }: { host: string; port: number }): Promise<Listening> {
  const server = createServer(limits, pipeline.handle);
  const unused = trackUnused(server);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw explain(error, host, port);
  }
  return { port: portOf(server), close: () => close(server, pipeline, unused) };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Connections on which nothing has arrived. Browsers open them in advance, and Node counts them as busy. */
function trackUnused(server: Server): () => Socket[] {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', ({ socket }) => sockets.delete(socket));
  return () => [...sockets].filter(({ bytesRead }) => bytesRead === 0);
}

async function close(server: Server, pipeline: Pipeline, unused: () => Socket[]): Promise<void> {
  pipeline.drain();
  const closed = once(server, 'close');
  server.close();
  for (const socket of unused()) socket.destroy();
  // A connection becomes idle after its last response, and Node closes only those that are idle when it is
  // called.
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
