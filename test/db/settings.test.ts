import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { StartError } from '../../src/errors.js';
import { readSettings } from '../../src/settings.js';

const encryptionKey = randomBytes(32);
const key = encryptionKey.toString('base64');

function mistakeIn(source: Record<string, string>): string {
  try {
    readSettings(source);
  } catch (error) {
    expect(error).toBeInstanceOf(StartError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('The environment was accepted.');
}

test('an empty environment gives the default of every setting', () => {
  expect(readSettings({})).toEqual({
    port: 4000,
    host: '127.0.0.1',
    dataDir: '.tollkeeper',
    databaseUrl: null,
    redisUrl: null,
    products: ['default'],
    serviceToken: null,
    encryptionKey: null,
    migrate: true,
    publicUrl: null,
    allowedOrigins: [],
    oidcIssuer: null,
    oidcAudience: null,
    trustedProxies: null,
    signUp: 'open',
    logLevel: 'info',
    mutationsPerMinute: 60,
    costPerMinute: 250_000,
    webhooksAllowPrivate: false,
    webhooksAllow: [],
    keyCacheMb: 64,
    servesPlayground: true,
    introspection: 'public',
  });
});

test('every variable is read into its setting', () => {
  const serviceToken = `tks_${'a1'.repeat(16)}`;
  expect(
    readSettings({
      PORT: '0',
      HOST: '::1',
      TOLLKEEPER_DATA_DIR: '/var/lib/tollkeeper',
      DATABASE_URL: 'postgresql://tollkeeper:secret@db:5432/tollkeeper',
      REDIS_URL: 'rediss://cache:6379',
      TOLLKEEPER_PRODUCTS: 'default, ./products/own.yaml,',
      TOLLKEEPER_SERVICE_TOKEN: serviceToken,
      TOLLKEEPER_ENCRYPTION_KEY: key,
      TOLLKEEPER_MIGRATE: 'false',
      PUBLIC_URL: 'https://api.example.com/',
      TOLLKEEPER_ALLOWED_ORIGINS: 'https://app.example.com, http://localhost:3000/',
      OIDC_ISSUER: 'https://id.example.com/realms/one',
      OIDC_AUDIENCE: 'tollkeeper',
      TOLLKEEPER_TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::1',
      TOLLKEEPER_SIGN_UP: 'invited',
      LOG_LEVEL: 'debug',
      TOLLKEEPER_MUTATIONS_PER_MINUTE: '600',
      TOLLKEEPER_QUERY_COST_PER_MINUTE: '1000000',
      TOLLKEEPER_WEBHOOKS_ALLOW_PRIVATE: 'true',
      TOLLKEEPER_WEBHOOKS_ALLOW: '10.1.0.0/16, 192.0.2.7,fd00::/8',
      TOLLKEEPER_KEY_CACHE_MB: '256',
      TOLLKEEPER_PLAYGROUND: 'off',
      TOLLKEEPER_INTROSPECTION: 'authenticated',
    }),
  ).toEqual({
    port: 0,
    host: '::1',
    dataDir: '/var/lib/tollkeeper',
    databaseUrl: 'postgresql://tollkeeper:secret@db:5432/tollkeeper',
    redisUrl: 'rediss://cache:6379',
    products: ['default', './products/own.yaml'],
    serviceToken,
    encryptionKey,
    migrate: false,
    publicUrl: 'https://api.example.com',
    allowedOrigins: ['https://app.example.com', 'http://localhost:3000'],
    oidcIssuer: 'https://id.example.com/realms/one',
    oidcAudience: 'tollkeeper',
    trustedProxies: {
      kind: 'networks',
      networks: [
        { address: '10.0.0.0', prefix: 8 },
        { address: '2001:db8::1', prefix: 128 },
      ],
    },
    signUp: 'invited',
    logLevel: 'debug',
    mutationsPerMinute: 600,
    costPerMinute: 1_000_000,
    webhooksAllowPrivate: true,
    webhooksAllow: ['10.1.0.0/16', '192.0.2.7', 'fd00::/8'],
    keyCacheMb: 256,
    servesPlayground: false,
    introspection: 'authenticated',
  });
});

test('TOLLKEEPER_TRUSTED_PROXIES may be a number of proxies', () => {
  expect(readSettings({ TOLLKEEPER_TRUSTED_PROXIES: '2' }).trustedProxies).toEqual({ kind: 'hops', hops: 2 });
});

test('an empty value counts as unset', () => {
  expect(readSettings({ PORT: '', DATABASE_URL: ' ', TOLLKEEPER_SERVICE_TOKEN: '' })).toEqual(readSettings({}));
});

test.each([
  ['PORT', '70000'],
  ['PORT', '4000x'],
  ['HOST', 'http://here'],
  ['DATABASE_URL', 'mysql://root:hunter2@db/app'],
  ['DATABASE_URL', 'hunter2'],
  ['REDIS_URL', 'http://:hunter2@cache'],
  ['TOLLKEEPER_PRODUCTS', ','],
  ['TOLLKEEPER_SERVICE_TOKEN', 'tks_hunter2'],
  ['TOLLKEEPER_ENCRYPTION_KEY', 'hunter2'],
  ['TOLLKEEPER_ENCRYPTION_KEY', randomBytes(16).toString('base64')],
  ['TOLLKEEPER_MIGRATE', 'yes'],
  ['TOLLKEEPER_KEY_CACHE_MB', '0'],
  ['TOLLKEEPER_PLAYGROUND', 'true'],
  ['TOLLKEEPER_INTROSPECTION', 'private'],
  ['PUBLIC_URL', 'api.example.com'],
  ['PUBLIC_URL', 'https://example.com/api'],
  ['TOLLKEEPER_ALLOWED_ORIGINS', 'https://one.example.com,*'],
  ['OIDC_ISSUER', 'id.example.com'],
  ['TOLLKEEPER_TRUSTED_PROXIES', '0'],
  ['TOLLKEEPER_TRUSTED_PROXIES', '10.0.0.0/33'],
  ['TOLLKEEPER_TRUSTED_PROXIES', 'hunter2'],
  ['TOLLKEEPER_SIGN_UP', 'OPEN'],
  ['LOG_LEVEL', 'loud'],
  ['TOLLKEEPER_MUTATIONS_PER_MINUTE', '0'],
  ['TOLLKEEPER_QUERY_COST_PER_MINUTE', '24999'],
  ['TOLLKEEPER_WEBHOOKS_ALLOW_PRIVATE', 'yes'],
  ['TOLLKEEPER_WEBHOOKS_ALLOW', '10.1.0.0/33'],
  ['TOLLKEEPER_WEBHOOKS_ALLOW', 'internal.example'],
])('the error for an invalid %s names the variable and does not repeat its value', (name, value) => {
  const message = mistakeIn({ [name]: value });
  expect(message).toMatch(new RegExp(`^${name} must `));
  expect(message).not.toContain('hunter2');
});

test('DATABASE_URL requires an encryption key, and the error shows how to generate one', () => {
  const message = mistakeIn({ DATABASE_URL: 'postgresql://root:hunter2@db/app' });
  expect(message).toContain('TOLLKEEPER_ENCRYPTION_KEY');
  expect(message).toContain('openssl rand -base64 32');
  expect(message).not.toContain('hunter2');
});

test.each([
  [{ OIDC_ISSUER: 'https://id.example.com' }, 'OIDC_AUDIENCE must be set'],
  [{ OIDC_AUDIENCE: 'tollkeeper' }, 'OIDC_ISSUER must be set'],
])('an identity provider requires both issuer and audience: %o alone is refused', (source, expected) => {
  expect(mistakeIn(source)).toContain(expected);
});
