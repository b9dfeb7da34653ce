import { BlockList, isIP } from 'node:net';

/** Which addresses webhooks may go to. */
export interface AddressPolicy {
  /** Whether all addresses and http are allowed, for development. */
  readonly allowsPrivate: boolean;
  /** @param address in the format of a resolver or a socket; anything else is not allowed */
  isAllowed(address: string): boolean;
}

export interface AddressPolicyOptions {
  readonly allowsPrivate?: boolean;
  /** Addresses and ranges in CIDR notation that are allowed although they are not public. */
  readonly networks?: readonly string[];
}

/** Allows public addresses, and the given networks. */
export function createAddressPolicy({
  allowsPrivate = false,
  networks = [],
}: AddressPolicyOptions = {}): AddressPolicy {
  const allowed = new BlockList();
  for (const network of networks) addRange(allowed, network);
  const isInNetwork = (address: string) => {
    const family = isIP(address);
    // An address with a zone belongs to a link of this machine.
    return family !== 0 && !address.includes('%') && allowed.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
  return {
    allowsPrivate,
    isAllowed: (address) => allowsPrivate || isPublicAddress(address) || isInNetwork(address),
  };
}

/**
 * IPv4 ranges that are not global unicast: the IANA special-purpose registry (RFC 6890 and its successors),
 * multicast and reserved ranges. 192.88.99.0/24 was used by 6to4 relays.
 */
const notGlobalIpv4: readonly (readonly [range: string, what: string])[] = [
  ['0.0.0.0/8', 'this machine'],
  ['10.0.0.0/8', 'a private network'],
  ['100.64.0.0/10', 'the network of a provider'],
  ['127.0.0.0/8', 'this machine'],
  ['169.254.0.0/16', 'a link-local network'],
  ['172.16.0.0/12', 'a private network'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'reserved for documentation'],
  ['192.31.196.0/24', 'reserved'],
  ['192.52.193.0/24', 'reserved'],
  ['192.88.99.0/24', 'reserved'],
  ['192.168.0.0/16', 'a private network'],
  ['192.175.48.0/24', 'reserved'],
  ['198.18.0.0/15', 'reserved for benchmarks'],
  ['198.51.100.0/24', 'reserved for documentation'],
  ['203.0.113.0/24', 'reserved for documentation'],
  ['224.0.0.0/4', 'a multicast group'],
  ['240.0.0.0/4', 'reserved'],
];

/**
 * Ranges within 2000::/3 that are not global unicast or embed another address: protocol assignments with
 * Teredo, documentation, 6to4.
 */
const notGlobalIpv6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'];

const refused = new BlockList();
for (const [range] of notGlobalIpv4) addRange(refused, range);
for (const range of notGlobalIpv6) addRange(refused, range);

/**
 * The only IPv6 range that is assigned as global unicast (RFC 4291). Outside of it are the addresses that
 * embed an IPv4 address (IPv4-mapped, IPv4-compatible, NAT64: 64:ff9b::/96 and 64:ff9b:1::/48), loopback,
 * link-local, unique local and multicast.
 */
const globalIpv6 = new BlockList();
globalIpv6.addSubnet('2000::', 3, 'ipv6');

/** Cloud metadata services in public address ranges. */
const metadata: ReadonlySet<string> = new Set(['168.63.129.16']);

/**
 * Whether an address is a public internet address.
 * @param address in the format of a resolver or a socket; false for anything else
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !refused.check(address, 'ipv4') && !metadata.has(address);
    case 6:
      // An address with a zone belongs to a link of this machine.
      return !address.includes('%') && globalIpv6.check(address, 'ipv6') && !refused.check(address, 'ipv6');
    default:
      return false;
  }
}

/** What an address is that is not public, such as "a private network". */
export function describeAddress(address: string): string {
  if (isIP(address) === 4) return notGlobalIpv4.find(([range]) => isInRange(address, range))?.[1] ?? 'reserved';
  if (address === '::1' || address === '::') return 'this machine';
  return isInRange(address, 'fc00::/7') ? 'a private network' : 'not in the public range of IPv6';
}

function isInRange(address: string, range: string): boolean {
  const list = new BlockList();
  addRange(list, range);
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** @param range an address or a range in CIDR notation */
function addRange(list: BlockList, range: string): void {
  const [net = '', bits] = range.split('/');
  const family = isIP(net) === 4 ? 'ipv4' : 'ipv6';
  if (bits === undefined) list.addAddress(net, family);
  else list.addSubnet(net, Number(bits), family);
}
