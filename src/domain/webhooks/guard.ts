import { lookup as resolveName } from 'node:dns';
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { isPublicAddress } from './address.js';
import { addressOf } from './endpoint-url.js';

/** The endpoint's address is not one that may be called. Which address it is, is nobody's business. */
export class AddressRefusedError extends Error {
  override get name(): string {
    return 'AddressRefusedError';
  }
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Which the socket has to ask for every name. */
  readonly lookup: LookupFunction;
  /** null: no TLS. */
  readonly tls: { readonly servername: string } | null;
}

/** What the guard stands on. Tests replace both; nothing else here opens a connection. */
export interface Network {
  /** Every address of a name, as node:dns gives it with `all`. */
  resolve(hostname: string, answer: (error: Error | null, addresses: readonly ResolvedAddress[]) => void): void;
  connect(options: ConnectOptions): Socket;
}

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

export const systemNetwork: Network = {
  resolve: (hostname, answer) =>
    resolveName(hostname, { all: true, verbatim: true }, (error, addresses) => answer(error, addresses ?? [])),
  connect: ({ host, port, lookup, tls }) =>
    tls === null
      ? connectTcp({ host, port, lookup })
      : // The name is verified against the certificate, and told to the server unless it is an address (RFC 6066).
        connectTls({ host, port, lookup, ALPNProtocols: ['http/1.1'], ...tls }),
};

/**
 * Connects to an endpoint, and to nothing that is not public. A name is resolved once, here, every address that it has is checked,
 * and the socket gets those very addresses: a name that resolves to something else a moment later gets nowhere. What the socket is
 * connected to in the end is checked before a byte is sent.
 * @throws AddressRefusedError, at once or as the socket's error
 */
export function connectGuarded(network: Network, url: URL, allowsPrivate: boolean): Socket {
  const isAllowed = (address: string) => allowsPrivate || isPublicAddress(address);
  const literal = addressOf(url);
  // A socket asks no resolver about an address.
  if (literal !== null && !isAllowed(literal)) throw new AddressRefusedError();
  const isTls = url.protocol === 'https:';
  const socket = network.connect({
    host: literal ?? url.hostname,
    port: Number(url.port || (isTls ? 443 : 80)),
    lookup: guardedLookup(network, isAllowed),
    tls: isTls ? { servername: literal === null ? url.hostname : '' } : null,
  });
  // Whoever writes to a socket that connects waits for the same event, TLS included: this comes first.
  socket.prependOnceListener('connect', () => {
    if (!isAllowed(socket.remoteAddress ?? '')) socket.destroy(new AddressRefusedError());
  });
  return socket;
}

function guardedLookup({ resolve }: Network, isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, answer) =>
    resolve(hostname, (error, addresses) => {
      const [first] = addresses;
      if (error !== null) return answer(asLookupError(error), '');
      // One bad address among good ones is how rebinding begins.
      if (first === undefined || !addresses.every(({ address }) => isAllowed(address))) {
        return answer(asLookupError(new AddressRefusedError()), '');
      }
      return options.all ? answer(null, [...addresses]) : answer(null, first.address, first.family);
    });
}

function asLookupError(error: Error): NodeJS.ErrnoException {
  return error;
}
