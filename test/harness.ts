import { createHash, randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import type { Database } from '../src/db/database.js';
import type { Deps } from '../src/domain/deps.js';
import { createServiceToken } from '../src/domain/identity/service-tokens.js';
import type { Handler } from '../src/http/handler.js';
import { listen } from '../src/http/listen.js';
import { createLog } from '../src/http/log.js';
import { loadProducts } from '../src/products/load.js';
import { type ComposeOptions, composeServer } from '../src/server/compose.js';
import { openTestDatabase } from './database.js';
import type { TypedDocumentString } from './generated/graphql.js';

/** The address that the servers of the tests have. No port is opened. */
export const publicUrl = 'https://keys.example.com';

/** Every preset, in the order in which a server of the tests has them. */
export const allProducts = ['default', 'makistry', 'makra', 'masko', 'makepay', 'craftkit'] as const;

export interface ServerOptions extends Partial<Omit<ComposeOptions, 'database' | 'products' | 'log' | 'clock'>> {
  /** Presets by name, or paths of product files. The first is the primary one. */
  readonly products?: readonly string[];
}

export interface TestServer {
  readonly deps: Deps;
  /** Moves the server's clock. It follows the system's until then. */
  readonly clock: { advance(ms: number): void };
  /** All that was logged, as text. */
  readonly logged: () => string;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** A client without a credential. */
  readonly anonymous: Client;
  /** The product's backend: a client with a service token. */
  readonly backend: Client;
  /** The plaintext of that token. */
  readonly serviceToken: string;
}

/** scrypt takes a tenth of a second for each person. The tests of signing in, which have a server of their own, take that time. */
export const quickHashing = {
  hash: (password: string) => Promise.resolve(createHash('sha256').update(password).digest('hex')),
  verify: async ({ hash, password }: { hash: string; password: string }) =>
    hash === createHash('sha256').update(password).digest('hex'),
};

/** One database for all servers of this process: each test makes its own workspaces, so none sees another's. */
let database: Promise<Database> | undefined;
const servers = new Map<string, Promise<TestServer>>();

export function sharedDatabase(): Promise<Database> {
  database ??= openTestDatabase();
  return database;
}

/** A server over the shared database. The same options give the same server, so it costs nothing to ask again. */
export function aServer(options: ServerOptions = {}): Promise<TestServer> {
  const key = JSON.stringify(options);
  const existing = servers.get(key) ?? startServer(options);
  servers.set(key, existing);
  return existing;
}

/** A server of one's own over the shared database, with a clock that can be moved and limits that nobody else uses up. */
export async function startServer({ products = allProducts, ...options }: ServerOptions = {}): Promise<TestServer> {
  const loaded = await loadProducts(products);
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  let offsetMs = 0;
  const { handler, deps } = composeServer({
    database: await sharedDatabase(),
    products: loaded,
    log: createLog({ level: 'trace', products: loaded.all, destination }),
    clock: () => new Date(Date.now() + offsetMs),
    encryptionKey: randomBytes(32),
    publicUrl,
    allowedOrigins: [],
    identityProvider: null,
    mutationsPerMinute: 10_000,
    passwordHashing: quickHashing,
    sweepsCredits: false,
    forgetsKeys: false,
    deliversWebhooks: false,
    ...options,
  });
  const fetch = await reach(handler);
  const { token } = await createServiceToken(deps.db, 'backend of the tests');
  return {
    deps,
    clock: {
      advance(ms) {
        offsetMs += ms;
      },
    },
    logged: () => lines.join(''),
    fetch,
    anonymous: new Client(fetch, {}),
    backend: new Client(fetch, { authorization: `Bearer ${token}` }),
    serviceToken: token,
  };
}

/**
 * How the tests reach a server: without a port by default, and with services through a real one, where the direct transport takes what
 * it can. So the same tests hold both ways to the same answers.
 */
async function reach(handler: Handler): Promise<(path: string, init?: RequestInit) => Promise<Response>> {
  if (process.env.DATABASE_URL === undefined) {
    return (path, init = {}) => handler.fetch(new Request(`${publicUrl}${path}`, init), { address: '192.0.2.1' });
  }
  const { port } = await listen(handler, { host: '127.0.0.1', port: 0 });
  return (path, init = {}) => globalThis.fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual', ...init });
}

export interface Answer<Data> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Data | null;
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
    readonly fetch: (path: string, init?: RequestInit) => Promise<Response>,
    readonly headers: Readonly<Record<string, string>>,
  ) {}

  /** The same server, with this credential instead. */
  with(headers: Readonly<Record<string, string>>): Client {
    return new Client(this.fetch, headers);
  }

  /** Sends a document as text and returns the whole answer. */
  async send<Data = Record<string, unknown>>(query: string, variables: Variables = {}): Promise<Answer<Data>> {
    const response = await this.fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...this.headers },
      body: JSON.stringify({ query, variables }),
    });
    const body = (await response.json()) as { data?: Data | null; errors?: GraphQLFailure[] };
    return { status: response.status, headers: response.headers, data: body.data ?? null, errors: body.errors ?? [] };
  }

  /** Sends a typed document and returns its data. @throws Error where the answer has errors. */
  async run<Data, Input>(
    document: TypedDocumentString<Data, Input>,
    ...[variables]: Input extends Record<string, never> ? [] : [Input]
  ): Promise<Data> {
    const { data, errors } = await this.send<Data>(document.toString(), (variables ?? {}) as Variables);
    if (data === null || errors.length > 0) throw new Error(`The answer has errors: ${JSON.stringify(errors)}`);
    return data;
  }
}

/** The member of a result union that a test expects. @throws Error that shows what came instead. */
export function expectMember<
  Result extends { __typename?: string | undefined },
  Name extends NonNullable<Result['__typename']>,
>(result: Result, typename: Name): Extract<Result, { __typename?: Name | undefined }> {
  if (result.__typename !== typename) throw new Error(`Expected ${typename}, but it is ${JSON.stringify(result)}`);
  return result as Extract<Result, { __typename?: Name | undefined }>;
}
