import { once } from 'node:events';
import { createServer } from 'node:https';
import { Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isPublicAddress } from '../../src/domain/webhooks/address.js';
import { parseEndpointUrl } from '../../src/domain/webhooks/endpoint-url.js';
import { AddressRefusedError, connectGuarded, type Network } from '../../src/domain/webhooks/guard.js';
import { createSender } from '../../src/domain/webhooks/send.js';
import { certificate, privateKey } from './certificate.js';
import { hostileAddresses, hostileHosts, publicAddresses } from './hostile-addresses.js';
import { aReceiver } from './receiver.js';

/** What got through to where a connection would have been opened. */
interface FakeNetwork extends Network {
  readonly resolved: string[];
  /** The addresses that a socket was given. */
  readonly connectedTo: string[];
  /** All that was written to sockets. */
  readonly written: () => string;
}

/**
 * A network without a wire: sockets ask for names as Node's do, and are connected to what they are told.
 * @param answers what the resolver says, one answer after the other; the last one stays
 * @param arrivesAt where a socket ends up, whatever it was told
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

/** How a connection goes: null where it stands, else what ended it. */
function connect(network: Network, url: string, allowsPrivate = false): Promise<Error | null> {
  return new Promise((resolve) => {
    try {
      const socket = connectGuarded(network, new URL(url), allowsPrivate);
      socket.on('error', resolve);
      socket.on('connect', () => setImmediate(() => socket.destroyed || resolve(null)));
    } catch (error) {
      resolve(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

const refused = expect.any(AddressRefusedError);

describe('no hostile address gets through', () => {
  test('the corpus has more than two hundred of each kind', () => {
    expect(new Set(hostileHosts.map(({ text }) => text)).size).toBeGreaterThan(400);
    expect(new Set(hostileAddresses.map(({ text }) => text)).size).toBeGreaterThan(300);
  });

  test('in the place of the host, in any notation, when the connection is made', async () => {
    const through: string[] = [];
    for (const { what, text } of hostileHosts) {
      const network = fakeNetwork();
      // What is no URL at all cannot be called either.
      if (!URL.canParse(`https://${text}/`)) continue;
      const outcome = await connect(network, `https://${text}/`);
      if (!(outcome instanceof AddressRefusedError) || network.connectedTo.length > 0)
        through.push(`${text} (${what})`);
    }
    expect(through).toEqual([]);
  });

  test('nor when an endpoint is created', () => {
    const through = hostileHosts.filter(({ text }) => {
      try {
        parseEndpointUrl('url', `https://${text}/`, false);
        return true;
      } catch {
        return false;
      }
    });
    expect(through).toEqual([]);
  });

  test('as what a name resolves to, alone or among good ones', async () => {
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

  test('as where a socket ends up, whatever it was told: not a byte is sent', async () => {
    for (const { text } of hostileAddresses) {
      const network = fakeNetwork([['93.184.215.14']], text);
      expect(await connect(network, 'https://hooks.example.com/')).toEqual(refused);
      expect(network.written()).toBe('');
    }
  });

  test.each(['nonsense', '', '1.2.3', '999.1.1.1', '::ffff', '93.184.215.14 ', 'fe80::1%eth0', '2606:4700::1%1'])(
    'and what is no address is none that is public: %j',
    (text) => {
      expect(isPublicAddress(text)).toBe(false);
    },
  );
});

test('public addresses get through, by name and by themselves', async () => {
  for (const address of publicAddresses) {
    const byName = fakeNetwork([[address]]);
    expect(await connect(byName, 'https://hooks.example.com/')).toBeNull();
    expect(byName.connectedTo).toEqual([address]);
    const itself = fakeNetwork();
    const host = address.includes(':') ? `[${address}]` : address;
    expect(await connect(itself, `https://${host}/`), address).toBeNull();
  }
});

describe('a name that resolves to something else each time', () => {
  test('is resolved once for a connection, which goes to the address that was checked', async () => {
    const network = fakeNetwork([['93.184.215.14'], ['127.0.0.1']]);
    expect(await connect(network, 'https://rebind.example.com/')).toBeNull();
    expect(network.resolved).toEqual(['rebind.example.com']);
    expect(network.connectedTo).toEqual(['93.184.215.14']);
  });

  test('gets nowhere with any attempt at which it is hostile', async () => {
    const answers = hostileAddresses.flatMap(({ text }) => [['93.184.215.14'], [text]]);
    const network = fakeNetwork(answers);
    const send = createSender({ allowsPrivate: false, network, timeoutMs: 20 });
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

  test('this machine is refused by address and by name, and nothing arrives', async () => {
    const receiver = await aReceiver();
    const { port } = new URL(receiver.url);
    const send = createSender({ allowsPrivate: false });
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433']) {
      expect(await send(request(`http://${host}:${port}/`))).toMatchObject({
        status: null,
        failure: 'ADDRESS_REFUSED',
      });
    }
    expect(receiver.received).toEqual([]);
  });

  test('it is reached where the operator allows it, for development', async () => {
    const receiver = await aReceiver();
    const send = createSender({ allowsPrivate: true });
    expect(await send(request(receiver.url))).toMatchObject({ status: 200, failure: null });
    expect(receiver.received).toHaveLength(1);
  });
});

describe('over TLS', () => {
  /** Names lead to this machine, and the certificate of these tests is trusted where that is said. */
  const networkOf = (ca: string[]): Network => ({
    resolve: (_hostname, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
    connect: ({ tls, ...options }) => connectTls({ ...options, ca, ALPNProtocols: ['http/1.1'], ...tls }),
  });

  test('the certificate has to be trusted, and to be that of the name', async () => {
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
      createSender({ allowsPrivate: true, network: networkOf(ca) })({
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

describe('an endpoint is https', () => {
  test.each([
    ['http://hooks.example.com/', false, null],
    ['https://hooks.example.com/', false, 'https://hooks.example.com/'],
    ['http://localhost:3000/', true, 'http://localhost:3000/'],
    ['https://hooks.example.com/a?b=1#c', false, 'https://hooks.example.com/a?b=1'],
    ['https://HOOKS.example.com:8443', false, 'https://hooks.example.com:8443/'],
  ])('%s, private allowed %s: %s', (url, allowsPrivate, expected) => {
    const parse = () => parseEndpointUrl('url', url, allowsPrivate);
    if (expected === null) expect(parse).toThrow('begin with https://');
    else expect(parse()).toBe(expected);
  });
});
