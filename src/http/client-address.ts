import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { TrustedProxies } from '../settings.js';
import { readHeader } from './request-scope.js';

/** Finds the address of the client that sent a request. Null: the connection is already closed. */
export type FindClientAddress = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => string | null;

/** More hops than any chain of proxies has. */
const hopsMax = 32;

/**
 * Creates the function that finds the address of a request's client. Each proxy appends the address that it
 * was connected from to `X-Forwarded-For` or `Forwarded` (RFC 7239). What stands before the entries of
 * trusted proxies was sent by the client, who may have invented it, and is not read.
 */
export function createClientAddressFinder(proxies: TrustedProxies): FindClientAddress {
  if (proxies === null) return ({ socket }) => socket.remoteAddress ?? null;
  const isTrusted = createTrust(proxies);
  return (request) => {
    let address = request.socket.remoteAddress ?? null;
    if (address === null || !isTrusted(address, 0)) return address;
    const forwarded = readForwarded(request);
    for (let hop = 0; address !== null && isTrusted(address, hop) && hop < hopsMax; hop += 1) {
      const previous = forwarded.pop();
      // No entry, or none that is an address: the last proxy that is known counts as the client.
      if (previous === undefined || isIP(previous) === 0) return address;
      address = previous;
    }
    return address;
  };
}

/** Whether the sender of a message is a trusted proxy, the given number of hops before this server. */
type IsTrusted = (address: string, hop: number) => boolean;

function createTrust(proxies: NonNullable<TrustedProxies>): IsTrusted {
  if (proxies.kind === 'hops') return (_address, hop) => hop < proxies.hops;
  const list = new BlockList();
  for (const { address, prefix } of proxies.networks) list.addSubnet(address, prefix, familyOf(address));
  return (address) => {
    // A proxy that connects by IPv4 to a socket of IPv6 has a mapped address.
    const unmapped = address
      .replace(/^::ffff:(?=\d+\.)/i, '')
      .split('%', 1)
      .join('');
    return isIP(unmapped) !== 0 && list.check(unmapped, familyOf(unmapped));
  };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/**
 * The addresses of `X-Forwarded-For`, from the client to the last proxy, or of `Forwarded` if there is none.
 * Node has joined headers that were sent twice.
 */
function readForwarded(request: Pick<IncomingMessage, 'headers'>): string[] {
  const list = readHeader(request, 'x-forwarded-for');
  if (list !== null) return list.split(',').map(readNode);
  const elements = readHeader(request, 'forwarded')?.split(',') ?? [];
  return elements.map((element) => readNode(/(?:^|;)\s*for\s*=\s*("[^"]*"|[^;\s]*)/i.exec(element)?.[1] ?? ''));
}

/** The address of a node: without quotes, brackets, port and zone. */
function readNode(text: string): string {
  const node = text.trim().replace(/^"(.*)"$/, '$1');
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(node)?.[1];
  return bracketed ?? (/^\d+\.\d+\.\d+\.\d+:\d+$/.test(node) ? node.split(':', 1).join('') : node);
}
