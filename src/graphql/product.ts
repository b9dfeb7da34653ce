import type { Product as ProductShape } from '../products/product.js';
import { builder } from './builder.js';
import { Environment } from './enums.js';

export const Price = builder
  .objectRef<{ product: string; action: string; credits: number; unit: string; description: string }>('Price')
  .implement({
    description: 'Price of an action.',
    fields: (t) => ({
      product: t.exposeString('product', { description: 'Slug of the product.' }),
      action: t.exposeString('action', { description: 'Name of the action, for `ChargeInput.action`.' }),
      credits: t.exposeFloat('credits', { description: 'Credits per unit. A charge is rounded up to whole credits.' }),
      unit: t.exposeString('unit', { description: 'What one unit is, such as a second.' }),
      description: t.exposeString('description', { description: 'What the action does.' }),
    }),
  });

const PromisedRateLimit = builder.objectRef<ProductShape['rateLimits'][number]>('RateLimit').implement({
  description: 'A rate limit of a product, which each key gets: at most `limit` requests in any window.',
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'Maximum number of requests in any window.' }),
    windowSeconds: t.exposeInt('windowSeconds', { description: 'Length of the window in seconds.' }),
  }),
});

const ProductPermission = builder
  .objectRef<{ name: string; description: string; grantable: boolean; feature?: string | undefined }>(
    'ProductPermission',
  )
  .implement({
    description: 'A permission that keys of a product can hold.',
    fields: (t) => ({
      name: t.exposeString('name', { description: 'Name in the form `resource:action`.' }),
      description: t.exposeString('description', { description: 'What the permission allows.' }),
      grantable: t.exposeBoolean('grantable', { description: 'Whether keys can hold it at all.' }),
      feature: t.string({
        nullable: true,
        description: 'Name of the feature that has to be enabled for the workspace. Null: none.',
        resolve: ({ feature }) => feature ?? null,
      }),
    }),
  });

const ProductFeature = builder
  .objectRef<{ name: string; description: string; customerSwitches: boolean }>('ProductFeature')
  .implement({
    description: 'A feature that can be enabled for a workspace.',
    fields: (t) => ({
      name: t.exposeString('name', { description: 'Name, for `enableFeature`.' }),
      description: t.exposeString('description', { description: 'What the feature does.' }),
      customerSwitches: t.exposeBoolean('customerSwitches', {
        description: 'Whether owners and admins can enable and disable it. If not, only services can.',
      }),
    }),
  });

const KeyFormat = builder
  .objectRef<{ environment: 'LIVE' | 'TEST'; prefix: string; length: number; alphabet: string; checksum: boolean }>(
    'KeyFormat',
  )
  .implement({
    description: 'Format of a secret, for tools that recognise leaked secrets.',
    fields: (t) => ({
      environment: t.field({
        type: Environment,
        description: 'Environment of the keys with this format.',
        resolve: (f) => f.environment,
      }),
      prefix: t.exposeString('prefix', { description: 'Start of the secret.' }),
      length: t.exposeInt('length', { description: 'Number of random characters after the prefix.' }),
      alphabet: t.exposeString('alphabet', { description: 'Alphabet of the random characters: hex or base62.' }),
      checksum: t.exposeBoolean('checksum', {
        description: 'Whether the secret ends in six characters that are the CRC32 of the rest, in base62.',
      }),
    }),
  });

export const Product = builder.objectRef<ProductShape>('Product').implement({
  description: 'A product of this server: its key formats, permissions, limits and prices.',
  fields: (t) => ({
    slug: t.exposeString('slug', { description: 'Unique name of the product, used in arguments and filters.' }),
    title: t.exposeString('title', { description: 'Display name.' }),
    description: t.exposeString('description', { description: 'What the product does.' }),
    headers: t.stringList({
      description:
        'Request headers that carry the credential: `authorization`, or a pair of headers with key id and secret.',
      resolve: ({ credential }) =>
        credential.transport === 'bearer' ? ['authorization'] : [credential.keyIdHeader, credential.secretHeader],
    }),
    keyFormats: t.field({
      type: [KeyFormat],
      description: 'Formats of its secrets, one for each environment.',
      resolve: ({ credential }) =>
        (['LIVE', 'TEST'] as const).flatMap((environment) => {
          const format = credential.secrets[environment];
          return format ? [{ ...format, environment, checksum: format.checksum !== undefined }] : [];
        }),
    }),
    permissions: t.field({
      type: [ProductPermission],
      description: 'Permissions that its keys can hold.',
      resolve: ({ permissions }) => Object.entries(permissions).map(([name, permission]) => ({ name, ...permission })),
    }),
    features: t.field({
      type: [ProductFeature],
      description: 'Features that can be enabled for a workspace.',
      resolve: ({ features }) =>
        Object.entries(features).map(([name, { description, enabledBy }]) => ({
          name,
          description,
          customerSwitches: enabledBy === 'CUSTOMER',
        })),
    }),
    prices: t.field({ type: [Price], description: 'Prices of its actions.', resolve: pricesOf }),
    rateLimits: t.field({
      type: [PromisedRateLimit],
      description: 'Rate limits of each key.',
      resolve: ({ rateLimits }) => rateLimits,
    }),
    freeCredits: t.exposeInt('freeCredits', {
      description: 'Credits that a workspace gets once, with its first key of this product.',
    }),
    activeKeysMax: t.exposeInt('activeKeysMax', {
      nullable: true,
      description: 'Maximum number of active keys in a workspace. Null: no limit.',
    }),
    rotationOverlapSecondsMax: t.int({
      description:
        'Maximum number of seconds for which the old secret of a key stays valid after a rotation. 0: it is refused at once.',
      resolve: ({ rotation }) => rotation.overlapSecondsMax,
    }),
    signingSecrets: t.exposeBoolean('signingSecrets', {
      description: 'Whether keys have a signing secret for webhooks.',
    }),
  }),
});

/** The price list of a product. */
export function pricesOf({ slug, prices }: ProductShape) {
  return Object.entries(prices).map(([action, price]) => ({ product: slug, action, ...price }));
}

builder.queryField('products', (t) =>
  t.field({
    type: [Product],
    description: 'Products of this server: key formats, permissions, limits and prices. Public.',
    authScopes: { public: true },
    resolve: (_root, _args, { services }) => services.products.all,
  }),
);
