import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import type { Database } from '../../src/db/database.js';
import type { Deps } from '../../src/domain/deps.js';
import { createServiceToken } from '../../src/domain/identity/service-tokens.js';
import { createApiKey } from '../../src/domain/keys/create.js';
import type { Handler, HandlerOptions } from '../../src/http/handler.js';
import { createLog } from '../../src/http/log.js';
import { loadProducts } from '../../src/products/load.js';
import { composeServer } from '../../src/server/compose.js';
import { openTestDatabase } from '../database.js';

export const publicUrl = 'https://keys.example.com';

export interface TestServer {
  readonly deps: Deps;
  readonly database: Database;
  /** All that was logged. */
  readonly lines: () => string;
  readonly handler: Handler;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Runs a document, as a client that accepts GraphQL's own media type does. */
  graphql(document: string, headers?: Record<string, string>, variables?: Record<string, unknown>): Promise<Answer>;
  signUp(name?: string): Promise<{ email: string; token: string; cookie: string; id: string }>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A whole server without a port, on a database of its own unless one is given. The clock stands still until it is moved. */
export async function startTestServer(
  products: readonly string[],
  { database: given, ...options }: Partial<Omit<HandlerOptions, 'deps'>> & { database?: Database } = {},
): Promise<TestServer & { clock: { now: Date } }> {
  const database = given ?? (await openTestDatabase());
  const loaded = await loadProducts(products);
  const logged: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      logged.push(String(chunk));
      done();
    },
  });
  const log = createLog({ level: 'trace', products: loaded.all, destination });
  const clock = { now: new Date() };
  const encryptionKey = randomBytes(32);
  const { handler, deps, close } = composeServer({
    database,
    products: loaded,
    log,
    clock: () => clock.now,
    encryptionKey,
    publicUrl,
    allowedOrigins: [],
    identityProvider: null,
    mutationsPerMinute: 1_000,
    deliversWebhooks: false,
    ...options,
  });
  const fetch = (path: string, init: RequestInit = {}) =>
    handler.fetch(new Request(`${publicUrl}${path}`, init), { address: '192.0.2.1' });

  return {
    deps,
    database,
    clock,
    handler,
    lines: () => logged.join(''),
    fetch,
    async graphql(query, headers = {}, variables = {}) {
      const response = await fetch('/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
        body: JSON.stringify({ query, variables }),
      });
      return { status: response.status, headers: response.headers, body: await response.json() };
    },
    async signUp(name = 'Ada') {
      const email = `${randomBytes(6).toString('hex')}@example.com`;
      const response = await fetch('/api/auth/sign-up/email', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name, email, password: 'correct horse battery' }),
      });
      if (response.status !== 200) throw new Error(await response.text());
      const { token, user } = (await response.json()) as { token: string; user: { id: string } };
      return {
        email,
        token,
        id: user.id,
        cookie: response.headers
          .getSetCookie()
          .map((c) => c.split(';', 1)[0])
          .join('; '),
      };
    },
    async close() {
      await close();
      if (given === undefined) await database.close();
    },
  };
}

/** A key of a product, in a new person's own workspace, made by a service. */
export async function makeKey(server: TestServer, product: string) {
  const { id } = await server.signUp();
  const { serviceToken } = await createServiceToken(server.deps.db, 'test');
  const workspace = await server.deps.db.workspace.findUniqueOrThrow({ where: { personalOwnerId: id } });
  return createApiKey(
    server.deps,
    { principal: { kind: 'service', serviceTokenId: serviceToken.id }, requestId: 'req_test', address: null },
    { workspaceId: workspace.id, name: 'test', product, environment: 'LIVE' },
  );
}
