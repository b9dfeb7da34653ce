/** IPv4 addresses that no webhook may reach, with the kind of each. */
const hostileIpv4: Readonly<Record<string, string>> = {
  '0.0.0.0': 'unspecified',
  '0.1.2.3': 'this network',
  '10.0.0.1': 'private',
  '10.255.255.254': 'private',
  '100.64.0.1': 'carrier-grade NAT',
  '100.100.100.200': 'metadata of a cloud, in carrier-grade NAT',
  '100.127.255.254': 'carrier-grade NAT',
  '127.0.0.1': 'loopback',
  '127.255.255.254': 'loopback',
  '168.63.129.16': 'metadata of a cloud, with a public look',
  '169.254.0.1': 'link-local',
  '169.254.169.254': 'metadata',
  '169.254.170.2': 'credentials of containers',
  '172.16.0.1': 'private',
  '172.31.255.254': 'private',
  '192.0.0.1': 'protocol assignments',
  '192.0.0.192': 'metadata of a cloud',
  '192.0.2.1': 'documentation',
  '192.88.99.1': '6to4 relay',
  '192.168.0.1': 'private',
  '192.168.255.254': 'private',
  '198.18.0.1': 'benchmarks',
  '198.19.255.254': 'benchmarks',
  '198.51.100.1': 'documentation',
  '203.0.113.1': 'documentation',
  '224.0.0.1': 'multicast',
  '239.255.255.255': 'multicast',
  '240.0.0.1': 'reserved',
  '255.255.255.255': 'broadcast',
};

/** IPv6 addresses that no webhook may reach, except those that embed an IPv4 address. */
const hostileIpv6: Readonly<Record<string, string>> = {
  '::': 'unspecified',
  '::1': 'loopback',
  '0:0:0:0:0:0:0:1': 'loopback, written out',
  '::2': 'reserved',
  '64:ff9b::808:808': 'NAT64, whatever is behind it',
  '64:ff9b:1::1': 'local NAT64',
  '64:ff9b:1:ffff::a00:1': 'local NAT64',
  '100::1': 'discarded',
  '100:0:0:1::1': 'discarded',
  '200::1': 'reserved',
  '400::1': 'reserved',
  '1000::1': 'reserved',
  '2001::1': 'Teredo',
  '2001:0:a00:1::1': 'Teredo',
  '2001:2::1': 'benchmarks',
  '2001:3::1': 'AMT',
  '2001:10::1': 'ORCHID',
  '2001:20::1': 'ORCHIDv2',
  '2001:30::1': 'drones',
  '2001:db8::1': 'documentation',
  '2001:db8:ffff::1': 'documentation',
  '2002:a00:1::1': '6to4',
  '3fff::1': 'documentation',
  '3fff:fff::1': 'documentation',
  '4000::1': 'not given out',
  '5f00::1': 'segment routing',
  '6000::1': 'not given out',
  '8000::1': 'not given out',
  'a000::1': 'not given out',
  'c000::1': 'not given out',
  'e000::1': 'not given out',
  'f000::1': 'not given out',
  'f800::1': 'not given out',
  'fc00::1': 'unique local',
  'fd00:ec2::254': 'metadata of a cloud',
  'fd20:ce::254': 'metadata of a cloud',
  'fdff:ffff::1': 'unique local',
  'fe00::1': 'reserved',
  'fe80::1': 'link-local',
  'fe80::a9fe:a9fe': 'link-local',
  'febf::1': 'link-local',
  'fec0::1': 'site-local',
  'ff01::1': 'multicast',
  'ff02::1': 'multicast',
  'ff0e::1': 'multicast',
};

const hex = (byte: number) => byte.toString(16).padStart(2, '0');

/** An IPv4 address as two groups of an IPv6 address. */
function groupsOf(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return `${hex(a)}${hex(b)}:${hex(c)}${hex(d)}`;
}

/** Notations of an IPv4 address as the host of a URL. */
const hostNotations: Readonly<Record<string, (address: string) => string>> = {
  dotted: (address) => address,
  'with a full stop at the end': (address) => `${address}.`,
  decimal: (address) => String(numberOf(address)),
  hexadecimal: (address) => `0x${numberOf(address).toString(16)}`,
  octal: (address) => `0${numberOf(address).toString(8)}`,
  'dotted octal': (address) => partsOf(address, (part) => `0${part.toString(8)}`),
  'dotted hexadecimal': (address) => partsOf(address, (part) => `0x${part.toString(16)}`),
  'three parts': (address) => {
    const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
    return `${a}.${b}.${c * 256 + d}`;
  },
  'full-width digits': (address) => address.replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
  'percent-encoded': (address) => `%3${address.charAt(0)}${address.slice(1)}`,
  'ideographic full stops': (address) => address.replaceAll('.', '。'),
};

/** Embeddings of an IPv4 address in an IPv6 address. */
const embeddings: Readonly<Record<string, (address: string) => string>> = {
  'IPv4-mapped': (address) => `::ffff:${address}`,
  'IPv4-mapped, in groups': (address) => `::ffff:${groupsOf(address)}`,
  'IPv4-mapped, written out': (address) => `0:0:0:0:0:ffff:${groupsOf(address)}`,
  'IPv4-compatible': (address) => `::${address}`,
  'IPv4-translated': (address) => `::ffff:0:${groupsOf(address)}`,
  NAT64: (address) => `64:ff9b::${address}`,
  'local NAT64': (address) => `64:ff9b:1::${groupsOf(address)}`,
  '6to4': (address) => `2002:${groupsOf(address)}::1`,
  Teredo: (address) => `2001:0:${groupsOf(address)}::1`,
};

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function partsOf(address: string, write: (part: number) => string): string {
  return address
    .split('.')
    .map((part) => write(Number(part)))
    .join('.');
}

export interface HostileAddress {
  readonly what: string;
  readonly text: string;
}

/** Possible answers of a resolver, in the canonical notations of both families. */
export const hostileAddresses: readonly HostileAddress[] = [
  ...Object.entries(hostileIpv4).map(([text, what]) => ({ what, text })),
  ...Object.entries(hostileIpv6).map(([text, what]) => ({ what, text })),
  ...Object.keys(hostileIpv4).flatMap((address) =>
    Object.entries(embeddings).map(([what, embed]) => ({ what: `${address}, ${what}`, text: embed(address) })),
  ),
];

/** Possible hosts of a URL. */
export const hostileHosts: readonly HostileAddress[] = [
  ...Object.keys(hostileIpv4).flatMap((address) =>
    Object.entries(hostNotations).map(([what, write]) => ({ what: `${address}, ${what}`, text: write(address) })),
  ),
  ...hostileAddresses.filter(({ text }) => text.includes(':')).map(({ what, text }) => ({ what, text: `[${text}]` })),
  { what: 'loopback in one part', text: '127.1' },
  { what: 'unspecified in one part', text: '0' },
  { what: 'link-local with a zone', text: '[fe80::1%25eth0]' },
];

/** Public addresses, which detect a guard that refuses everything. */
export const publicAddresses: readonly string[] = [
  '1.1.1.1',
  '8.8.8.8',
  '93.184.215.14',
  '100.63.255.255',
  '100.128.0.1',
  '128.0.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '192.167.255.255',
  '198.17.255.255',
  '223.255.255.254',
  '2606:4700:4700::1111',
  '2001:4860:4860::8888',
  '2a00:1450:4001:81b::200e',
  '2400:cb00::1',
  '3ffe::1',
];
