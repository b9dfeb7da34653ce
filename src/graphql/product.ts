import type { Product as ProductShape } from '../products/product.js';
import { builder } from './builder.js';
import { Environment } from './enums.js';

export const Price = builder
  .objectRef<{ product: string; action: string; credits: number; unit: string; description: string }>('Price')
  .implement({
    description: 'What an action costs.',
    fields: (t) => ({
      product: t.exposeString('product', { description: 'The product, by its slug.' }),
      action: t.exposeString('action', { description: 'What is charged for: the `action` of a charge.' }),
      credits: t.exposeFloat('credits', { description: 'Credits per unit. A charge rounds up to whole credits.' }),
      unit: t.exposeString('unit', { description: 'What a quantity of 1 is, such as a second.' }),
      description: t.exposeString('description', { description: 'What the action is.' }),
    }),
  });

const PromisedRateLimit = builder.objectRef<ProductShape['rateLimits'][number]>('RateLimit').implement({
  description: 'What a product promises per key: never more than this in any window.',
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'The most requests in any window.' }),
    windowSeconds: t.exposeInt('windowSeconds', { description: 'How long a window is, in seconds.' }),
  }),
});

const ProductPermission = builder
  .objectRef<{ name: string; description: string; grantable: boolean; feature?: string | undefined }>(
    'ProductPermission',
  )
  .implement({
    description: 'What a key may be allowed at a product.',
    fields: (t) => ({
      name: t.exposeString('name', { description: 'Its name, in the form `resource:action`.' }),
      description: t.exposeString('description', { description: 'What it allows.' }),
      grantable: t.exposeBoolean('grantable', { description: 'Whether keys can hold it at all.' }),
      feature: t.string({
        nullable: true,
        description: 'The feature that has to be on for the workspace; null for none.',
        resolve: ({ feature }) => feature ?? null,
      }),
    }),
  });

const ProductFeature = builder
  .objectRef<{ name: string; description: string; customerSwitches: boolean }>('ProductFeature')
  .implement({
    description: 'What can be switched on for a workspace.',
    fields: (t) => ({
      name: t.exposeString('name', { description: 'As `enableFeature` takes it.' }),
      description: t.exposeString('description', { description: 'What it is.' }),
      customerSwitches: t.exposeBoolean('customerSwitches', {
        description: 'Whether owners and admins switch it by themselves; else the operator does.',
      }),
    }),
  });

const KeyFormat = builder
  .objectRef<{ environment: 'LIVE' | 'TEST'; prefix: string; length: number; alphabet: string; checksum: boolean }>(
    'KeyFormat',
  )
  .implement({
    description: 'How a secret is written, so that tools can recognise it.',
    fields: (t) => ({
      environment: t.field({ type: Environment, description: 'The environment.', resolve: (f) => f.environment }),
      prefix: t.exposeString('prefix', { description: 'How it begins.' }),
      length: t.exposeInt('length', { description: 'How many random characters follow the prefix.' }),
      alphabet: t.exposeString('alphabet', { description: 'Which characters: hex or base62.' }),
      checksum: t.exposeBoolean('checksum', {
        description: 'Whether it ends in six characters that are the CRC32 of the rest, in base62.',
      }),
    }),
  });

export const Product = builder.objectRef<ProductShape>('Product').implement({
  description: 'What is sold: how its keys look, what they may do, and what it costs.',
  fields: (t) => ({
    slug: t.exposeString('slug', { description: 'Its name for programs.' }),
    title: t.exposeString('title', { description: 'Its name for people.' }),
    description: t.exposeString('description', { description: 'What it is.' }),
    headers: t.stringList({
      description: 'The request headers that carry a credential: `authorization`, or a pair of key id and secret.',
      resolve: ({ credential }) =>
        credential.transport === 'bearer' ? ['authorization'] : [credential.keyIdHeader, credential.secretHeader],
    }),
    keyFormats: t.field({
      type: [KeyFormat],
      description: 'How its secrets are written, one for each environment that it has.',
      resolve: ({ credential }) =>
        (['LIVE', 'TEST'] as const).flatMap((environment) => {
          const format = credential.secrets[environment];
          return format ? [{ ...format, environment, checksum: format.checksum !== undefined }] : [];
        }),
    }),
    permissions: t.field({
      type: [ProductPermission],
      description: 'What its keys may be allowed.',
      resolve: ({ permissions }) => Object.entries(permissions).map(([name, permission]) => ({ name, ...permission })),
    }),
    features: t.field({
      type: [ProductFeature],
      description: 'What can be switched on for a workspace.',
      resolve: ({ features }) =>
        Object.entries(features).map(([name, { description, enabledBy }]) => ({
          name,
          description,
          customerSwitches: enabledBy === 'CUSTOMER',
        })),
    }),
    prices: t.field({ type: [Price], description: 'What its actions cost.', resolve: pricesOf }),
    rateLimits: t.field({
      type: [PromisedRateLimit],
      description: 'What it promises per key.',
      resolve: ({ rateLimits }) => rateLimits,
    }),
    freeCredits: t.exposeInt('freeCredits', { description: "Credits that come once with a workspace's first key." }),
    activeKeysMax: t.exposeInt('activeKeysMax', {
      nullable: true,
      description: 'The most active keys of a workspace; null: no limit.',
    }),
    rotationOverlapSecondsMax: t.int({
      description: 'For how long the old secret of a key can go on working beside a new one; 0: it ends at once.',
      resolve: ({ rotation }) => rotation.overlapSecondsMax,
    }),
    signingSecrets: t.exposeBoolean('signingSecrets', { description: 'Whether keys come with a signing secret.' }),
  }),
});

/** The price list of a product. */
export function pricesOf({ slug, prices }: ProductShape) {
  return Object.entries(prices).map(([action, price]) => ({ product: slug, action, ...price }));
}

builder.queryField('products', (t) =>
  t.field({
    type: [Product],
    description: 'What this server sells: formats, limits and prices. Open to everybody.',
    authScopes: { public: true },
    resolve: (_root, _args, { deps }) => deps.products.all,
  }),
);
