import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { StartError } from './errors.js';

/**
 * The validated settings. Names are those of the variables, in camelCase and without the project's prefix.
 */
export interface Settings {
  port: number;
  host: string;
  /** Folder of the embedded database and its encryption key. */
  dataDir: string;
  /** PostgreSQL. Null: the embedded database. */
  databaseUrl: string | null;
  redisUrl: string | null;
  /** Names of presets, or paths of product files; at least one. */
  products: string[];
  serviceToken: string | null;
  /** 32 bytes. Never null beside a databaseUrl. */
  encryptionKey: Buffer | null;
  /** Whether the server applies migrations when it starts. */
  migrate: boolean;
  /** Public origin of the server, without a trailing slash. Null: derived from host and port. */
  publicUrl: string | null;
  /** Origins of front ends that may send cookies. */
  allowedOrigins: string[];
  /** Set together with oidcAudience, or not at all. */
  oidcIssuer: string | null;
  oidcAudience: string | null;
  /** Proxies in front of the server, whose `X-Forwarded-For` and `Forwarded` are believed. */
  trustedProxies: TrustedProxies;
  /** Who may sign up with a password: any address, one with an open invitation, or none. */
  signUp: SignUpMode;
  logLevel: (typeof logLevels)[number];
  /** Throttle of management mutations, per principal and mutation. */
  mutationsPerMinute: number;
  /** Budget of query cost, per principal, or per address without a credential. */
  costPerMinute: number;
  /** Whether webhooks may go to private addresses and over http. For development only. */
  webhooksAllowPrivate: boolean;
  /** Networks in CIDR notation that webhooks may go to although they are not public. */
  webhooksAllow: string[];
  /** Memory budget of the key cache, in millions of bytes. */
  keyCacheMb: number;
  /** Whether browsers get the playground. */
  servesPlayground: boolean;
  introspection: IntrospectionAccess;
}

export const keyCacheMbDefault = 64;

/** Networks of proxies, or how many proxies a request passes. Null: none. */
export type TrustedProxies =
  | { readonly kind: 'networks'; readonly networks: readonly { readonly address: string; readonly prefix: number }[] }
  | { readonly kind: 'hops'; readonly hops: number }
  | null;

const signUpModes = ['open', 'invited', 'closed'] as const;
export type SignUpMode = (typeof signUpModes)[number];
/** Who may introspect the schema. */
export type IntrospectionAccess = (typeof introspectionAccesses)[number];

const introspectionAccesses = ['public', 'authenticated', 'off'] as const;

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Error messages. Each follows the name of its variable. None repeats the value, which may be a secret. */
const messages = {
  PORT: 'must be a port number from 0 to 65535',
  HOST: 'must be an address or a host name, such as 127.0.0.1, or 0.0.0.0 for all interfaces',
  TOLLKEEPER_DATA_DIR: 'must be the path of a folder',
  DATABASE_URL:
    'must have the form postgresql://user:password@host:5432/database, with special characters of the password percent-encoded',
  REDIS_URL: 'must have the form redis://host:6379, or rediss:// for TLS',
  TOLLKEEPER_PRODUCTS: 'must list names of presets or paths of product files, separated by commas, such as default',
  TOLLKEEPER_SERVICE_TOKEN: 'must be tks_ and at least 32 letters and digits; remove it to have one created',
  TOLLKEEPER_ENCRYPTION_KEY: 'must be 32 bytes in base64; create one with: openssl rand -base64 32',
  TOLLKEEPER_MIGRATE: 'must be true or false',
  PUBLIC_URL: 'must be an address such as https://api.example.com, without a path',
  TOLLKEEPER_ALLOWED_ORIGINS:
    'must list origins such as https://app.example.com, separated by commas and without paths',
  OIDC_ISSUER:
    'must be the address of the identity provider, exactly the iss claim of its tokens, such as https://id.example.com',
  OIDC_AUDIENCE: 'must be the aud claim of the tokens',
  TOLLKEEPER_TRUSTED_PROXIES:
    'must list addresses and networks such as 10.0.0.0/8, separated by commas, or be the number of proxies, from 1 to 10',
  TOLLKEEPER_SIGN_UP: 'must be open, invited or closed',
  LOG_LEVEL: `must be one of ${logLevels.join(', ')}`,
  TOLLKEEPER_MUTATIONS_PER_MINUTE: 'must be a whole number from 1 to 1000000',
  TOLLKEEPER_QUERY_COST_PER_MINUTE: 'must be a whole number from 25000 to 9999999',
  TOLLKEEPER_WEBHOOKS_ALLOW_PRIVATE: 'must be true or false; true is for development only',
  TOLLKEEPER_WEBHOOKS_ALLOW: 'must list addresses or networks such as 10.1.0.0/16, separated by commas',
  TOLLKEEPER_KEY_CACHE_MB: 'must be a whole number from 1 to 4000, in megabytes',
  TOLLKEEPER_PLAYGROUND: 'must be on or off',
  TOLLKEEPER_INTROSPECTION: `must be one of ${introspectionAccesses.join(', ')}`,
} as const;
type Variable = keyof typeof messages;

/** Names of all variables that the server reads. The tests compare the documentation with them. */
export const variableNames: readonly string[] = Object.keys(messages);

function wholeNumber(min: number, max: number) {
  return z
    .stringFormat('whole number', /^\d{1,7}$/)
    .transform(Number)
    .pipe(z.int().min(min).max(max));
}

function list<Item extends z.ZodType<string, string>>(item: Item) {
  return z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(item).min(1));
}

function address(protocols: readonly string[]) {
  return z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol));
}

/** An origin, with or without a trailing slash. The result has the form that browsers send in `Origin`. */
const origin = address(['http:', 'https:'])
  .refine((text) => !URL.canParse(text) || new URL(text).href === `${new URL(text).origin}/`)
  .transform((text) => new URL(text).origin);

const trueOrFalse = z.enum(['true', 'false']).transform((text) => text === 'true');

/** An address, or a network in CIDR notation. */
const network = z.string().transform((text, context) => {
  const [, address = '', prefix] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const family = isIP(address);
  const bits = family === 6 ? 128 : 32;
  if (family === 0 || Number(prefix ?? bits) > bits) {
    context.addIssue({ code: 'custom' });
    return z.NEVER;
  }
  return { address, prefix: Number(prefix ?? bits) };
});

const trustedProxies = z.union([
  wholeNumber(1, 10).transform((hops) => ({ kind: 'hops', hops }) as const),
  list(z.string())
    .pipe(z.array(network))
    .transform((networks) => ({ kind: 'networks', networks }) as const),
]);

const shape = z.object({
  PORT: wholeNumber(0, 65_535).default(4000),
  HOST: z.stringFormat('host', /^[A-Za-z0-9.:_%-]+$/).default('127.0.0.1'),
  TOLLKEEPER_DATA_DIR: z.string().default('.tollkeeper'),
  DATABASE_URL: address(['postgresql:', 'postgres:']).optional(),
  REDIS_URL: address(['redis:', 'rediss:']).optional(),
  TOLLKEEPER_PRODUCTS: list(z.string()).default(['default']),
  TOLLKEEPER_SERVICE_TOKEN: z.stringFormat('token', /^tks_[A-Za-z0-9]{32,}$/).optional(),
  TOLLKEEPER_ENCRYPTION_KEY: z
    .stringFormat('key', /^[A-Za-z0-9+/]{43}=$/)
    .transform((text) => Buffer.from(text, 'base64'))
    .optional(),
  TOLLKEEPER_MIGRATE: trueOrFalse.default(true),
  PUBLIC_URL: origin.optional(),
  TOLLKEEPER_ALLOWED_ORIGINS: list(origin).default([]),
  OIDC_ISSUER: address(['https:', 'http:']).optional(),
  OIDC_AUDIENCE: z.string().optional(),
  TOLLKEEPER_TRUSTED_PROXIES: trustedProxies.optional(),
  TOLLKEEPER_SIGN_UP: z.enum(signUpModes).default('open'),
  LOG_LEVEL: z.enum(logLevels).default('info'),
  TOLLKEEPER_MUTATIONS_PER_MINUTE: wholeNumber(1, 1_000_000).default(60),
  TOLLKEEPER_QUERY_COST_PER_MINUTE: wholeNumber(25_000, 9_999_999).default(250_000),
  TOLLKEEPER_WEBHOOKS_ALLOW_PRIVATE: trueOrFalse.default(false),
  TOLLKEEPER_WEBHOOKS_ALLOW: list(z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()])).default([]),
  TOLLKEEPER_KEY_CACHE_MB: wholeNumber(1, 4_000).default(keyCacheMbDefault),
  TOLLKEEPER_PLAYGROUND: z
    .enum(['on', 'off'])
    .transform((text) => text === 'on')
    .default(true),
  TOLLKEEPER_INTROSPECTION: z.enum(introspectionAccesses).default('public'),
} satisfies Record<Variable, z.ZodType>);

/** A file in the working directory with variables for this server. */
const envFile = '.env';

/** Reads `.env`. An empty object if the file does not exist. @throws StartError if it cannot be read */
function readEnvFile(): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(envFile, 'utf8'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return {};
    throw new StartError(`The file ${envFile} cannot be read (${String(code)}). Make it readable, or remove it.`);
  }
}

/**
 * Reads the environment, and `.env` for variables that the environment does not set. No other file reads
 * `process.env`. An empty value counts as unset, because compose files and shells set such values.
 * @throws StartError for the first invalid variable: it names the variable and the expected value, and
 *   repeats no value.
 */
export function readSettings(source: NodeJS.Dict<string> = { ...readEnvFile(), ...process.env }): Settings {
  const set = Object.fromEntries(
    Object.keys(messages).flatMap((name) => {
      const value = source[name]?.trim();
      return value ? [[name, value]] : [];
    }),
  );
  const parsed = shape.safeParse(set);
  if (!parsed.success) throw errorOf(parsed.error);
  const values = parsed.data;

  if (values.DATABASE_URL !== undefined && values.TOLLKEEPER_ENCRYPTION_KEY === undefined) {
    throw new StartError(
      'DATABASE_URL is set, so TOLLKEEPER_ENCRYPTION_KEY must be set too: all processes decrypt the same signing secrets. ' +
        'Create one with: openssl rand -base64 32, and keep it as safe as the database.',
    );
  }
  if ((values.OIDC_ISSUER === undefined) !== (values.OIDC_AUDIENCE === undefined)) {
    const [present, absent] = values.OIDC_ISSUER ? ['OIDC_ISSUER', 'OIDC_AUDIENCE'] : ['OIDC_AUDIENCE', 'OIDC_ISSUER'];
    throw new StartError(
      `${present} is set, so ${absent} must be set too: the server checks the issuer and the audience of each token.`,
    );
  }

  return {
    port: values.PORT,
    host: values.HOST,
    dataDir: values.TOLLKEEPER_DATA_DIR,
    databaseUrl: values.DATABASE_URL ?? null,
    redisUrl: values.REDIS_URL ?? null,
    products: values.TOLLKEEPER_PRODUCTS,
    serviceToken: values.TOLLKEEPER_SERVICE_TOKEN ?? null,
    encryptionKey: values.TOLLKEEPER_ENCRYPTION_KEY ?? null,
    migrate: values.TOLLKEEPER_MIGRATE,
    publicUrl: values.PUBLIC_URL ?? null,
    allowedOrigins: values.TOLLKEEPER_ALLOWED_ORIGINS,
    oidcIssuer: values.OIDC_ISSUER ?? null,
    oidcAudience: values.OIDC_AUDIENCE ?? null,
    trustedProxies: values.TOLLKEEPER_TRUSTED_PROXIES ?? null,
    signUp: values.TOLLKEEPER_SIGN_UP,
    logLevel: values.LOG_LEVEL,
    mutationsPerMinute: values.TOLLKEEPER_MUTATIONS_PER_MINUTE,
    costPerMinute: values.TOLLKEEPER_QUERY_COST_PER_MINUTE,
    webhooksAllowPrivate: values.TOLLKEEPER_WEBHOOKS_ALLOW_PRIVATE,
    webhooksAllow: values.TOLLKEEPER_WEBHOOKS_ALLOW,
    keyCacheMb: values.TOLLKEEPER_KEY_CACHE_MB,
    servesPlayground: values.TOLLKEEPER_PLAYGROUND,
    introspection: values.TOLLKEEPER_INTROSPECTION,
  };
}

function errorOf(error: z.ZodError): StartError {
  const name = error.issues[0]?.path[0];
  if (typeof name !== 'string' || !isVariable(name)) throw error;
  return new StartError(`${name} ${messages[name]}.`);
}

function isVariable(name: string): name is Variable {
  return name in messages;
}
