import type { GraphQLSchema } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { buildSchema } from '../graphql/schema.js';
import type { Services } from '../graphql/services.js';
import type { IntrospectionAccess, SignUpMode, TrustedProxies } from '../settings.js';
import type { AttemptLimits } from './attempt-limits.js';
import { createAuthRoute } from './auth-route.js';
import { createClientAddressFinder } from './client-address.js';
import { createContextFactory } from './context.js';
import { createEngine } from './engine.js';
import { createGraphiql } from './graphiql.js';
import { answerReady } from './health.js';
import { createOrigins } from './origins.js';
import { createPipeline, type Pipeline } from './pipeline.js';
import { createIdentityProvider, type IdentityProviderOptions } from './principals/identity-provider.js';
import type { PasswordHashing } from './principals/password-hashing.js';
import { createResolver } from './principals/resolve.js';
import { createSessions } from './principals/session.js';
import { queryMsMaxDefault } from './query-deadline.js';
import { createRedact } from './redact.js';

export interface HandlerOptions {
  readonly services: Services;
  /** 32 bytes; the key that signs sessions is derived from it. */
  readonly encryptionKey: Uint8Array;
  /** The URL of this server, as clients see it. */
  readonly publicUrl: string;
  /** Origins beside the server's own whose pages may use a session's cookie. */
  readonly allowedOrigins: readonly string[];
  /** Null: no outside identity provider is trusted. */
  readonly identityProvider: IdentityProviderOptions | null;
  /** How often one principal may run one management mutation. */
  readonly mutationsPerMinute: number;
  /** Budget of query cost, per principal, or per address without a credential. */
  readonly costPerMinute: number;
  /** Who may introspect the schema. Default: everybody. */
  readonly introspection?: IntrospectionAccess | undefined;
  /** Whether browsers get the playground. Default: true. */
  readonly servesPlayground?: boolean | undefined;
  /** How long the execution of a query may take. Default: {@link queryMsMaxDefault}. */
  readonly queryMsMax?: number | undefined;
  /** Proxies whose `X-Forwarded-For` and `Forwarded` are believed. Default: none. */
  readonly trustedProxies?: TrustedProxies | undefined;
  /** Who may sign up with a password. Default: any address. */
  readonly signUp?: SignUpMode | undefined;
  /** How often a password can be tried or set. */
  readonly attemptLimits?: AttemptLimits | undefined;
  /** Default: scrypt. */
  readonly passwordHashing?: PasswordHashing | undefined;
  /** Plugins of Yoga and Envelop, such as tracing or persisted operations. Default: none. */
  readonly plugins?: readonly Plugin[] | undefined;
  /** Another schema than the server's own, for tests of the pipeline. */
  readonly schema?: GraphQLSchema | undefined;
}

/** Composes the HTTP side of the server. */
export function createHandler(options: HandlerOptions): Pipeline {
  const { services } = options;
  const { origin } = new URL(options.publicUrl);
  const origins = createOrigins(options.publicUrl, options.allowedOrigins);
  const sessions = createSessions({
    services,
    encryptionKey: options.encryptionKey,
    publicUrl: options.publicUrl,
    origins,
    passwordHashing: options.passwordHashing,
  });
  const identityProvider = options.identityProvider && createIdentityProvider(options.identityProvider, services);
  const resolvePrincipal = createResolver({ services, sessions, identityProvider, origins });
  return createPipeline({
    origin,
    origins,
    findClientAddress: createClientAddressFinder(options.trustedProxies ?? null),
    products: services.products,
    log: services.log,
    redact: createRedact(services.products.all),
    engine: createEngine({
      schema: options.schema ?? buildSchema({ mutationsPerMinute: options.mutationsPerMinute }),
      introspection: options.introspection ?? 'public',
      plugins: options.plugins ?? [],
    }),
    createContext: createContextFactory({
      services,
      sessions,
      resolvePrincipal,
      costPerMinute: options.costPerMinute,
      queryMsMax: options.queryMsMax ?? queryMsMaxDefault,
    }),
    answerGraphiql: options.servesPlayground === false ? null : createGraphiql(origin),
    answerAuth: createAuthRoute({
      services,
      sessions,
      origins,
      signUp: options.signUp,
      attemptLimits: options.attemptLimits,
    }),
    answerReady: (isDraining) => answerReady(services, isDraining),
  });
}
