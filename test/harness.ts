import { createHash, randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import type { Database } from '../src/db/database.js';
import { createServiceToken } from '../src/domain/identity/service-tokens.js';
import type { Services } from '../src/graphql/services.js';
import { defaultAttemptLimits } from '../src/http/attempt-limits.js';
import { listen } from '../src/http/listen.js';
import { createLog } from '../src/http/log.js';
import { loadProducts } from '../src/products/load.js';
import { type ComposeOptions, composeServer } from '../src/server/compose.js';
import { openTestDatabase } from './database.js';
import type { TypedDocumentString } from './generated/graphql.js';
import { connectTo, type Fetch } from './http-client.js';

/**
 * The public URL that test servers are configured with. They listen on 127.0.0.1, on a port that the system
 * chooses.
 */
export const publicUrl = 'https://keys.example.com';

/** Every preset, in the order in which a test server sells them. */
export const allProducts = ['default', 'makistry', 'makra', 'masko', 'makepay', 'craftkit'] as const;

export interface ServerOptions extends Partial<Omit<ComposeOptions, 'database' | 'products' | 'log' | 'clock'>> {
  /**
   * Names of presets or paths of product files. The first is the primary one. Default: {@link allProducts}.
   */
  readonly products?: readonly string[];
  /**
   * `shared` (the default) is the one database of this worker: each test makes its own workspaces in it.
   * `own` is a new, empty database, closed with the server. A database that the test opened is closed by the
   * test.
   */
  readonly database?: 'shared' | 'own' | Database;
  /** Whether the clock advances only when a test moves it. By default it follows the system clock. */
  readonly clockStandsStill?: boolean;
}

export interface TestServer {
  readonly url: string;
  readonly services: Services;
  readonly database: Database;
  readonly clock: {
    now(): Date;
    /** Moves the clock of this server forward. */
    advance(ms: number): void;
  };
  /** The whole log as text. */
  readonly logged: () => string;
  readonly fetch: Fetch;
  /** A client without a credential. */
  readonly anonymous: Client;
  /** The backend of the product: a client with a service token. */
  readonly backend: Client;
  /** The plaintext of that token. */
  readonly serviceToken: string;
  /** Marks the server as closing, as {@link close} does first. It continues to answer. */
  drain(): void;
  /** Stops listening, then stops the background work. Called for every server at the end of its test file. */
  close(): Promise<void>;
}

/** scrypt takes 100 ms per password. Tests of signing in pass `passwordHashing: undefined` to use it. */
const quickHashing = {
  hash: (password: string) => Promise.resolve(createHash('sha256').update(password).digest('hex')),
  verify: async ({ hash, password }: { hash: string; password: string }) =>
    hash === createHash('sha256').update(password).digest('hex'),
};

/**
 * All people of the tests sign up from one address. Tests of the limits pass `attemptLimits: undefined` to
 * use those of production.
 */
const manySignUps = { ...defaultAttemptLimits, network: { ...defaultAttemptLimits.network, signUp: [] } };

let database: Promise<Database> | undefined;
const sharedServers = new Map<string, Promise<TestServer>>();
const ownServers = new Set<TestServer>();

/** The database that all servers of this worker share by default. */
export function sharedDatabase(): Promise<Database> {
  database ??= openTestDatabase();
  return database;
}

/**
 * A server on the shared database. The same options return the same server, which lives as long as the
 * worker.
 */
export function aServer(options: Pick<ServerOptions, 'products'> = {}): Promise<TestServer> {
  const key = JSON.stringify(options);
  const existing = sharedServers.get(key) ?? openServer(options);
  sharedServers.set(key, existing);
  return existing;
}

/**
 * A server that no other test uses, with its own clock and limits. It is closed at the end of the test file.
 */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const server = await openServer(options);
  ownServers.add(server);
  return server;
}

/** Closes every server that {@link startServer} started. */
export async function closeOwnServers(): Promise<void> {
  await Promise.all([...ownServers].map((server) => server.close()));
}

async function openServer({
  products = allProducts,
  database: wanted = 'shared',
  clockStandsStill = false,
  ...options
}: ServerOptions): Promise<TestServer> {
  const database = wanted === 'shared' ? await sharedDatabase() : wanted === 'own' ? await openTestDatabase() : wanted;
  const loaded = await loadProducts(products);
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  let offsetMs = 0;
  const startedAt = Date.now();
  const now = () => new Date((clockStandsStill ? startedAt : Date.now()) + offsetMs);
  const composed = composeServer({
    database,
    products: loaded,
    log: createLog({ level: 'trace', products: loaded.all, destination }),
    clock: now,
    encryptionKey: randomBytes(32),
    publicUrl,
    allowedOrigins: [],
    identityProvider: null,
    mutationsPerMinute: 10_000,
    attemptLimits: manySignUps,
    costPerMinute: 1_000_000_000,
    passwordHashing: quickHashing,
    sweepsCredits: false,
    deletesExpiredRecords: false,
    fillsKeyCache: false,
    deliversWebhooks: false,
    ...options,
  });
  const { handler, services } = composed;
  const { token } = await createServiceToken(services.db, 'backend of the tests');
  const listening = await listen(handler, { host: '127.0.0.1', port: 0 });
  const { fetch, disconnect } = connectTo(listening.port);
  let closing: Promise<void> | undefined;
  const server: TestServer = {
    url: `http://127.0.0.1:${listening.port}`,
    services,
    database,
    clock: {
      now,
      advance(ms) {
        offsetMs += ms;
      },
    },
    logged: () => lines.join(''),
    fetch,
    anonymous: new Client(fetch, {}),
    backend: new Client(fetch, { authorization: `Bearer ${token}` }),
    serviceToken: token,
    drain: () => handler.drain(),
    close() {
      closing ??= close();
      return closing;
    },
  };

  async function close(): Promise<void> {
    ownServers.delete(server);
    disconnect();
    await listening.close();
    await composed.close();
    if (wanted === 'own') await database.close();
  }

  return server;
}

export interface Answer<Data> {
  readonly status: number;
  readonly headers: Headers;
  /** The whole body. */
  readonly body: unknown;
  /** The `data` of the body; null if there is none. */
  readonly data: Data | null;
  /** The `errors` of the body; empty if there are none. */
  readonly errors: readonly GraphQLFailure[];
}

export interface GraphQLFailure {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: {
    readonly code?: string;
    readonly productCode?: string;
    readonly requestId?: string;
    readonly field?: string;
  };
}

type Variables = Record<string, unknown>;

/** A GraphQL client with its credential, as a front end would have one. */
export class Client {
  constructor(
    readonly fetch: Fetch,
    readonly headers: Readonly<Record<string, string>>,
  ) {}

  /** The same server, with these headers instead. */
  with(headers: Readonly<Record<string, string>>): Client {
    return new Client(this.fetch, headers);
  }

  /** Sends a document as text and returns the whole response. */
  async send<Data = Record<string, unknown>>(query: string, variables: Variables = {}): Promise<Answer<Data>> {
    const response = await this.fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...this.headers },
      body: JSON.stringify({ query, variables }),
    });
    const body = (await response.json()) as { data?: Data | null; errors?: GraphQLFailure[] };
    const { status, headers } = response;
    return { status, headers, body, data: body.data ?? null, errors: body.errors ?? [] };
  }

  /** Sends a typed document and returns its data. @throws Error if the response has errors */
  async run<Data, Input>(
    document: TypedDocumentString<Data, Input>,
    ...[variables]: Input extends Record<string, never> ? [] : [Input]
  ): Promise<Data> {
    const { data, errors } = await this.send<Data>(document.toString(), (variables ?? {}) as Variables);
    if (data === null || errors.length > 0) throw new Error(`The answer has errors: ${JSON.stringify(errors)}`);
    return data;
  }
}

/** The member of a result union that a test expects. @throws Error that shows the actual result */
export function expectMember<
  Result extends { __typename?: string | undefined },
  Name extends NonNullable<Result['__typename']>,
>(result: Result, typename: Name): Extract<Result, { __typename?: Name | undefined }> {
  if (result.__typename !== typename) throw new Error(`Expected ${typename}, but it is ${JSON.stringify(result)}`);
  return result as Extract<Result, { __typename?: Name | undefined }>;
}
