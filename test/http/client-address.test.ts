import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createClientAddressFinder } from '../../src/http/client-address.js';
import type { TrustedProxies } from '../../src/settings.js';
import { aPerson } from '../factories.js';
import { startServer } from '../harness.js';

const networks = (...list: [string, number][]): TrustedProxies => ({
  kind: 'networks',
  networks: list.map(([address, prefix]) => ({ address, prefix })),
});
const loopback = networks(['127.0.0.0', 8]);
const spoofed = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' };

async function addressSeen(trustedProxies: TrustedProxies | undefined, headers: Record<string, string>) {
  const server = await startServer({ products: ['default'], trustedProxies });
  const { id, token } = await aPerson(server);
  const requestId = `look-${trustedProxies?.kind ?? 'none'}`;
  await server.anonymous
    .with({ authorization: `Bearer ${token}`, 'x-request-id': requestId, ...headers })
    .send('mutation { createWorkspace(input: { name: "Acme" }) { __typename } }');
  const event = await server.services.db.auditEvent.findFirstOrThrow({
    where: { actorId: id, action: 'workspace.created', requestId },
  });
  const line = server
    .logged()
    .split('\n')
    .find((text) => text.includes(requestId) && text.includes('"msg":"request"'));
  const { address } = JSON.parse(line ?? '{}') as { address?: string };
  expect(event.address).toBe(address);
  return address;
}

describe('the address in the audit trail and in the log', () => {
  test('is that of the connection by default, whatever headers say', async () => {
    expect(await addressSeen(undefined, spoofed)).toBe('127.0.0.1');
  });

  test('is that of the connection if it does not come from a trusted proxy', async () => {
    expect(await addressSeen(networks(['10.0.0.0', 8], ['2001:db8::', 32]), spoofed)).toBe('127.0.0.1');
  });

  test('is that which a trusted proxy has seen', async () => {
    expect(await addressSeen(loopback, { 'x-forwarded-for': '192.0.2.66, 198.51.100.7' })).toBe('198.51.100.7');
    expect(await addressSeen({ kind: 'hops', hops: 1 }, { 'x-forwarded-for': '192.0.2.66, 198.51.100.7' })).toBe(
      '198.51.100.7',
    );
  });
});

describe('finding the address of a client', () => {
  const find = (proxies: TrustedProxies, remoteAddress: string, headers: Record<string, string>) =>
    createClientAddressFinder(proxies)({ headers, socket: { remoteAddress } as IncomingMessage['socket'] });
  const two = networks(['127.0.0.1', 32], ['10.0.0.0', 8], ['2001:db8::', 32]);

  test.each<[string, TrustedProxies, string, Record<string, string>, string]>([
    ['skips every trusted proxy', two, '127.0.0.1', { 'x-forwarded-for': '1.1.1.1, 2.2.2.2, 10.1.2.3' }, '2.2.2.2'],
    [
      'is the first proxy if all are trusted',
      two,
      '127.0.0.1',
      { 'x-forwarded-for': '10.0.0.9, 10.1.2.3' },
      '10.0.0.9',
    ],
    ['trusts a mapped IPv4 address', two, '::ffff:127.0.0.1', { 'x-forwarded-for': '2.2.2.2' }, '2.2.2.2'],
    ['trusts a network of IPv6', two, '2001:db8::7', { 'x-forwarded-for': '2001:db9::1' }, '2001:db9::1'],
    ['reads Forwarded', two, '127.0.0.1', { forwarded: 'for=1.1.1.1, for=2.2.2.2;proto=https' }, '2.2.2.2'],
    [
      'reads quoted IPv6 with a port',
      two,
      '127.0.0.1',
      { forwarded: 'proto=https; For="[2001:db9::1]:80"' },
      '2001:db9::1',
    ],
    ['reads IPv4 with a port', two, '127.0.0.1', { 'x-forwarded-for': '2.2.2.2:8080' }, '2.2.2.2'],
    [
      'prefers X-Forwarded-For',
      two,
      '127.0.0.1',
      { forwarded: 'for=1.1.1.1', 'x-forwarded-for': '2.2.2.2' },
      '2.2.2.2',
    ],
    ['stops at what is no address', two, '127.0.0.1', { 'x-forwarded-for': '1.1.1.1, unknown, 10.1.2.3' }, '10.1.2.3'],
    ['stops at an obfuscated node', two, '127.0.0.1', { forwarded: 'for=_hidden' }, '127.0.0.1'],
    ['is the proxy without a header', two, '127.0.0.1', {}, '127.0.0.1'],
    [
      'counts two hops',
      { kind: 'hops', hops: 2 },
      '127.0.0.1',
      { 'x-forwarded-for': '1.1.1.1, 2.2.2.2, 3.3.3.3' },
      '2.2.2.2',
    ],
    [
      'counts no more hops than there are',
      { kind: 'hops', hops: 9 },
      '127.0.0.1',
      { 'x-forwarded-for': '2.2.2.2' },
      '2.2.2.2',
    ],
    ['ignores an endless chain', two, '127.0.0.1', { 'x-forwarded-for': '10.0.0.1,'.repeat(1_000) }, '127.0.0.1'],
  ])('%s', (_name, proxies, remoteAddress, headers, expected) => {
    expect(find(proxies, remoteAddress, headers)).toBe(expected);
  });
});
