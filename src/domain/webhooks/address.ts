import { BlockList, isIP } from 'node:net';

/**
 * IPv4 ranges that are not global unicast: the IANA special-purpose registry (RFC 6890 and its successors),
 * multicast and reserved ranges. 192.88.99.0/24 was used by 6to4 relays.
 */
const notGlobalIpv4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/**
 * Ranges within 2000::/3 that are not global unicast or embed another address: protocol assignments with
 * Teredo, documentation, 6to4.
 */
const notGlobalIpv6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'];

const refused = new BlockList();
for (const range of notGlobalIpv4) addRange(range, 'ipv4');
for (const range of notGlobalIpv6) addRange(range, 'ipv6');

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

function addRange(range: string, family: 'ipv4' | 'ipv6'): void {
  const [net = '', bits = ''] = range.split('/');
  refused.addSubnet(net, Number(bits), family);
}
