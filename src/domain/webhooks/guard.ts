import { lookup as resolveName } from 'node:dns';
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { AddressPolicy } from './address.js';
import { addressOf } from './endpoint-url.js';

/** The endpoint has an address that is not allowed. The address is not disclosed. */
export class AddressRefusedError extends Error {
  override get name(): string {
    return 'AddressRefusedError';
  }
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** The socket must use it to resolve every name. */
  readonly lookup: LookupFunction;
  /** null: no TLS. */
  readonly tls: { readonly servername: string } | null;
}

/** Network access of the guard. Tests replace both functions. Nothing else in this room opens connections. */
export interface Network {
  /** Resolves a name to all of its addresses, like node:dns with `all`. */
  resolve(hostname: string, callback: (error: Error | null, addresses: readonly ResolvedAddress[]) => void): void;
  connect(options: ConnectOptions): Socket;
}

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

export const systemNetwork: Network = {
  resolve: (hostname, callback) =>
    resolveName(hostname, { all: true, verbatim: true }, (error, addresses) => callback(error, addresses ?? [])),
  connect: ({ host, port, lookup, tls }) =>
    tls === null
      ? connectTcp({ host, port, lookup })
      : // The certificate is verified for the name. A name, but not an address, is sent to the server (SNI, RFC 6066).
        connectTls({ host, port, lookup, ALPNProtocols: ['http/1.1'], ...tls }),
};

/**
 * Connects to an endpoint, but only to allowed addresses (SSRF protection). A name is resolved once, every
 * address is checked, and the socket connects to one of these addresses, so DNS rebinding has no effect. The
 * address of the connected socket is checked again before data is sent.
 * @throws AddressRefusedError at once, or as the socket's error
 */
export function connectGuarded(network: Network, url: URL, { isAllowed }: AddressPolicy): Socket {
  const literal = addressOf(url);
  // For an address, the socket does not call lookup.
  if (literal !== null && !isAllowed(literal)) throw new AddressRefusedError();
  const isTls = url.protocol === 'https:';
  const socket = network.connect({
    host: literal ?? url.hostname,
    port: Number(url.port || (isTls ? 443 : 80)),
    lookup: guardedLookup(network, isAllowed),
    tls: isTls ? { servername: literal === null ? url.hostname : '' } : null,
  });
  // Pending writes, TLS included, wait for the same event. This listener runs before them.
  socket.prependOnceListener('connect', () => {
    if (!isAllowed(socket.remoteAddress ?? '')) socket.destroy(new AddressRefusedError());
  });
  return socket;
}

function guardedLookup({ resolve }: Network, isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) =>
    resolve(hostname, (error, addresses) => {
      const [first] = addresses;
      if (error !== null) return callback(asLookupError(error), '');
      // A DNS rebinding attack mixes a private address with public ones.
      if (first === undefined || !addresses.every(({ address }) => isAllowed(address))) {
        return callback(asLookupError(new AddressRefusedError()), '');
      }
      return options.all ? callback(null, [...addresses]) : callback(null, first.address, first.family);
    });
}

function asLookupError(error: Error): NodeJS.ErrnoException {
  return error;
}
