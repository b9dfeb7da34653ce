import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * A TCP proxy that can be slowed down, stalled or closed, without affecting the server itself, which other
 * tests use.
 */
export interface TcpProxy {
  /** The URL of the server through this proxy. */
  readonly url: string;
  /** How often a text was sent to the server. */
  count(text: string): number;
  /** Accepts connections but forwards nothing. What is sent meanwhile is forwarded by {@link resume}. */
  stall(): void;
  /** Ends a stall. */
  resume(): void;
  /** Delays each response by this time. */
  slowDown(ms: number): void;
  /** Closes all connections and accepts new ones. */
  drop(): void;
  /** Closes all connections and accepts none until {@link reopen}. */
  refuse(): Promise<void>;
  reopen(): Promise<void>;
  /** Applies `change` to the data sent to the server until it has changed something once. */
  changeOnce(change: (sent: string) => string): void;
  close(): Promise<void>;
}

export async function openProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let held: (() => void)[] | null = null;
  let delayMs = 0;
  let sentText = '';
  let changeNext: ((sent: string) => string) | null = null;

  const pass = (deliver: () => void) => {
    if (held === null) deliver();
    else held.push(deliver);
  };
  const change = (chunk: Buffer): Buffer => {
    const before = chunk.toString('latin1');
    sentText += before;
    const after = changeNext?.(before) ?? before;
    if (after === before) return chunk;
    changeNext = null;
    return Buffer.from(after, 'latin1');
  };

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    near.on('data', (chunk) => pass(() => far.write(change(chunk))));
    near.on('end', () => pass(() => far.end()));
    far.on('data', (chunk) => setTimeout(() => pass(() => near.destroyed || near.write(chunk)), delayMs));
    far.on('end', () => pass(() => near.end()));
  });
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const ownPort = await listen(0);
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  const refuse = async () => {
    const closed = once(server, 'close');
    server.close();
    drop();
    await closed;
  };
  const url = new URL(target);
  url.host = `127.0.0.1:${ownPort}`;

  return {
    url: url.href,
    count: (text) => sentText.split(text).length - 1,
    stall() {
      held ??= [];
    },
    resume() {
      const deliveries = held ?? [];
      held = null;
      for (const deliver of deliveries) deliver();
    },
    slowDown(ms) {
      delayMs = ms;
    },
    drop,
    refuse,
    async reopen() {
      await listen(ownPort);
    },
    changeOnce(change) {
      changeNext = change;
    },
    async close() {
      if (server.listening) await refuse();
    },
  };
}
