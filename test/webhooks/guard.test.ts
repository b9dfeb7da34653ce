import { once } from 'node:events';
import { createServer } from 'node:https';
import { Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createAddressPolicy, isPublicAddress } from '../../src/domain/webhooks/address.js';
import { parseEndpointUrl } from '../../src/domain/webhooks/endpoint-url.js';
import { AddressRefusedError, connectGuarded, type Network } from '../../src/domain/webhooks/guard.js';
import { createSender } from '../../src/domain/webhooks/send.js';
import { certificate, privateKey } from './certificate.js';
import { hostileAddresses, hostileHosts, publicAddresses } from './hostile-addresses.js';
import { aReceiver } from './receiver.js';

/** A fake network that records what passed the guard. */
interface FakeNetwork extends Network {
  readonly resolved: string[];
  /** The addresses that sockets connected to. */
  readonly connectedTo: string[];
  /** Everything that was written to sockets. */
  readonly written: () => string;
}

/**
 * A network in memory: sockets resolve names like those of Node, and connect to the resulting address.
 * @param answers the answers of the resolver in order; the last one is repeated
 * @param arrivesAt the remote address of every socket, whatever address it was given
 */
function fakeNetwork(answers: readonly (readonly string[])[] = [], arrivesAt?: string): FakeNetwork {
  const resolved: string[] = [];
  const connectedTo: string[] = [];
  let written = '';
  const familyOf = (address: string) => (address.includes(':') ? 6 : 4);
  return {
    resolved,
    connectedTo,
    written: () => written,
    resolve(hostname, answer) {
      const addresses = answers[Math.min(resolved.length, answers.length - 1)] ?? [];
      resolved.push(hostname);
      process.nextTick(() =>
        answer(
          null,
          addresses.map((address) => ({ address, family: familyOf(address) })),
        ),
      );
    },
    connect({ host, lookup }) {
      const socket = new Socket();
      socket.write = ((chunk: unknown) => {
        written += String(chunk);
        return true;
      }) as Socket['write'];
      const arrive = (address: string) => {
        connectedTo.push(address);
        Object.defineProperty(socket, 'remoteAddress', { value: arrivesAt ?? address });
        socket.emit('connect');
      };
      if (/^[0-9.]+$|:/.test(host)) process.nextTick(arrive, host);
      else {
        lookup(host, { all: true }, (error, addresses) => {
          if (error !== null) socket.destroy(error);
          else arrive(typeof addresses === 'string' ? addresses : (addresses[0]?.address ?? ''));
        });
      }
      return socket;
    },
  };
}

/** The outcome of a connection: null if it is established, else its error. */
function connect(network: Network, url: string, allowsPrivate = false): Promise<Error | null> {
  return new Promise((resolve) => {
    try {
      const socket = connectGuarded(network, new URL(url), createAddressPolicy({ allowsPrivate }));
      socket.on('error', resolve);
      socket.on('connect', () => setImmediate(() => socket.destroyed || resolve(null)));
    } catch (error) {
      resolve(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

const refused = expect.any(AddressRefusedError);

describe('a hostile address', () => {
  test('is one of a corpus of more than 400 hosts and 300 resolved addresses', () => {
    expect(new Set(hostileHosts.map(({ text }) => text)).size).toBeGreaterThan(400);
    expect(new Set(hostileAddresses.map(({ text }) => text)).size).toBeGreaterThan(300);
  });

  test('is refused as the host of a connection in any notation', async () => {
    const through: string[] = [];
    for (const { what, text } of hostileHosts) {
      const network = fakeNetwork();
      // A host that makes the URL invalid cannot be requested either.
      if (!URL.canParse(`https://${text}/`)) continue;
      const outcome = await connect(network, `https://${text}/`);
      if (!(outcome instanceof AddressRefusedError) || network.connectedTo.length > 0)
        through.push(`${text} (${what})`);
    }
    expect(through).toEqual([]);
  });

  test('is refused as the host of a new endpoint', () => {
    const through = hostileHosts.filter(({ text }) => {
      try {
        parseEndpointUrl('url', `https://${text}/`, createAddressPolicy());
        return true;
      } catch {
        return false;
      }
    });
    expect(through).toEqual([]);
  });

  test('is refused as a resolved address, alone or among public ones', async () => {
    const through: string[] = [];
    for (const { what, text } of hostileAddresses) {
      for (const answer of [[text], ['93.184.215.14', text], [text, '2606:4700::1111']]) {
        const network = fakeNetwork([answer]);
        const outcome = await connect(network, 'https://hooks.example.com/');
        if (!(outcome instanceof AddressRefusedError) || network.connectedTo.length > 0)
          through.push(`${text} (${what})`);
      }
    }
    expect(through).toEqual([]);
  });

  test('is refused as the remote address of a socket before a byte is sent', async () => {
    for (const { text } of hostileAddresses) {
      const network = fakeNetwork([['93.184.215.14']], text);
      expect(await connect(network, 'https://hooks.example.com/')).toEqual(refused);
      expect(network.written()).toBe('');
    }
  });

  test.each(['nonsense', '', '1.2.3', '999.1.1.1', '::ffff', '93.184.215.14 ', 'fe80::1%eth0', '2606:4700::1%1'])(
    'includes malformed addresses, which are never public: %j',
    (text) => {
      expect(isPublicAddress(text)).toBe(false);
    },
  );
});

test('public addresses are allowed, by name and as literals', async () => {
  for (const address of publicAddresses) {
    const byName = fakeNetwork([[address]]);
    expect(await connect(byName, 'https://hooks.example.com/')).toBeNull();
    expect(byName.connectedTo).toEqual([address]);
    const itself = fakeNetwork();
    const host = address.includes(':') ? `[${address}]` : address;
    expect(await connect(itself, `https://${host}/`), address).toBeNull();
  }
});

describe('an allowed network', () => {
  const addresses = createAddressPolicy({ networks: ['10.1.0.0/16', '192.168.7.9', 'fd00:1::/32'] });

  test.each([
    ['10.1.255.255', true],
    ['10.2.0.0', false],
    ['192.168.7.9', true],
    ['192.168.7.10', false],
    ['fd00:1::5', true],
    ['fd00:2::5', false],
    ['fd00:1::5%eth0', false],
    ['127.0.0.1', false],
    ['169.254.169.254', false],
    ['93.184.215.14', true],
    ['nonsense', false],
  ])('contains %s: %s', (address, isAllowed) => {
    expect(addresses.isAllowed(address)).toBe(isAllowed);
  });

  test('is accepted as the host of a new endpoint, over https only', () => {
    expect(parseEndpointUrl('url', 'https://10.1.2.3/hook', addresses)).toBe('https://10.1.2.3/hook');
    expect(() => parseEndpointUrl('url', 'http://10.1.2.3/hook', addresses)).toThrow('must begin with https://');
  });

  test.each([
    ['https://10.2.0.1/', 'a private network'],
    ['https://127.0.0.1/', 'this machine'],
    ['https://[::1]/', 'this machine'],
    ['https://169.254.169.254/', 'a link-local network'],
    ['https://[fd00:2::1]/', 'a private network'],
    ['https://224.0.0.1/', 'a multicast group'],
  ])('is named by the error for %s, with the reason of the refusal', (url, reason) => {
    expect(() => parseEndpointUrl('url', url, addresses)).toThrow(
      `The URL of an endpoint must have a public address, and this one is ${reason}. The operator can allow networks with TOLLKEEPER_WEBHOOKS_ALLOW.`,
    );
  });
});

describe('a name with changing addresses (DNS rebinding)', () => {
  test('is resolved once per connection, which uses the checked address', async () => {
    const network = fakeNetwork([['93.184.215.14'], ['127.0.0.1']]);
    expect(await connect(network, 'https://rebind.example.com/')).toBeNull();
    expect(network.resolved).toEqual(['rebind.example.com']);
    expect(network.connectedTo).toEqual(['93.184.215.14']);
  });

  test('is refused at every attempt at which it resolves to a hostile address', async () => {
    const answers = hostileAddresses.flatMap(({ text }) => [['93.184.215.14'], [text]]);
    const network = fakeNetwork(answers);
    const send = createSender({ addresses: createAddressPolicy(), network, timeoutMs: 20 });
    const request = {
      url: 'http://rebind.example.com/',
      payload: '{}',
      headers: { 'webhook-id': 'evt_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,a' },
    };
    const outcomes = await Promise.all(answers.map(() => send(request)));
    expect(new Set(network.connectedTo)).toEqual(new Set(['93.184.215.14']));
    expect(outcomes.filter(({ failure }) => failure === 'ADDRESS_REFUSED')).toHaveLength(hostileAddresses.length);
  });
});

describe('over a real socket', () => {
  const request = (url: string) => ({
    url,
    payload: '{}',
    headers: { 'webhook-id': 'evt_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,a' },
  });

  test('loopback is refused by address and by name, and nothing is sent', async () => {
    const receiver = await aReceiver();
    const { port } = new URL(receiver.url);
    const send = createSender({ addresses: createAddressPolicy() });
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433']) {
      expect(await send(request(`http://${host}:${port}/`))).toMatchObject({
        status: null,
        failure: 'ADDRESS_REFUSED',
      });
    }
    expect(receiver.received).toEqual([]);
  });

  test('loopback is allowed when the operator enables private addresses', async () => {
    const receiver = await aReceiver();
    const send = createSender({ addresses: createAddressPolicy({ allowsPrivate: true }) });
    expect(await send(request(receiver.url))).toMatchObject({ status: 200, failure: null });
    expect(receiver.received).toHaveLength(1);
  });
});

describe('over TLS', () => {
  /** Resolves all names to loopback and trusts the given certificate authorities. */
  const networkOf = (ca: string[]): Network => ({
    resolve: (_hostname, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
    connect: ({ tls, ...options }) => connectTls({ ...options, ca, ALPNProtocols: ['http/1.1'], ...tls }),
  });

  test('the certificate must be trusted and match the host name', async () => {
    const arrived: string[] = [];
    const server = createServer({ cert: certificate, key: privateKey }, (message, response) => {
      arrived.push(`${message.headers.host} ${(message.socket as TLSSocket).servername}`);
      response.end('ok');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const send = (host: string, ca: string[]) =>
      createSender({ addresses: createAddressPolicy({ allowsPrivate: true }), network: networkOf(ca) })({
        url: `https://${host}:${port}/`,
        payload: '{}',
        headers: { 'webhook-id': 'evt_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,a' },
      });
    expect(await send('hooks.example.com', [certificate])).toMatchObject({ status: 200, responseStart: 'ok' });
    expect(arrived).toEqual([`hooks.example.com:${port} hooks.example.com`]);
    expect(await send('hooks.example.com', [])).toMatchObject({ status: null, failure: 'TLS_FAILED' });
    expect(await send('other.example.com', [certificate])).toMatchObject({ status: null, failure: 'TLS_FAILED' });
    expect(await send('127.0.0.1', [certificate])).toMatchObject({ status: null, failure: 'TLS_FAILED' });
    expect(arrived).toHaveLength(1);
  });
});

describe('an endpoint URL must be https', () => {
  test.each([
    ['http://hooks.example.com/', false, null],
    ['https://hooks.example.com/', false, 'https://hooks.example.com/'],
    ['http://localhost:3000/', true, 'http://localhost:3000/'],
    ['https://hooks.example.com/a?b=1#c', false, 'https://hooks.example.com/a?b=1'],
    ['https://HOOKS.example.com:8443', false, 'https://hooks.example.com:8443/'],
  ])('%s, private allowed %s: %s', (url, allowsPrivate, expected) => {
    const parse = () => parseEndpointUrl('url', url, createAddressPolicy({ allowsPrivate }));
    if (expected === null) expect(parse).toThrow('begin with https://');
    else expect(parse()).toBe(expected);
  });
});
