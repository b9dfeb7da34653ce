import { BlockList, isIP } from 'node:net';

/**
 * IPv4 that is no global unicast: the IANA special-purpose registry (RFC 6890 and its successors), multicast and what is reserved.
 * 192.88.99.0/24 once relayed 6to4.
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

/** Within 2000::/3, what is no global unicast or carries another address inside: protocol assignments with Teredo, documentation, 6to4. */
const notGlobalIpv6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'];

const refused = new BlockList();
for (const range of notGlobalIpv4) addRange(range, 'ipv4');
for (const range of notGlobalIpv6) addRange(range, 'ipv6');

/**
 * The only IPv6 that is given out as global unicast (RFC 4291). Whatever holds an IPv4 address in another notation is outside of it:
 * mapped and compatible ones, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), and so are loopback, link-local, unique local and multicast.
 */
const globalIpv6 = new BlockList();
globalIpv6.addSubnet('2000::', 3, 'ipv6');

/** Cloud metadata that has a public-looking address of its own. */
const metadata: ReadonlySet<string> = new Set(['168.63.129.16']);

/** Whether an address is one of the public internet. @param address as a resolver or a socket gives it; anything else is not. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !refused.check(address, 'ipv4') && !metadata.has(address);
    case 6:
      // An address with a zone is of this machine's own links.
      return !address.includes('%') && globalIpv6.check(address, 'ipv6') && !refused.check(address, 'ipv6');
    default:
      return false;
  }
}

function addRange(range: string, family: 'ipv4' | 'ipv6'): void {
  const [net = '', bits = ''] = range.split('/');
  refused.addSubnet(net, Number(bits), family);
}
