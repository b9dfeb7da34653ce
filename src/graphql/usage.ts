import { bucketsMax, decideBuckets, estimateBuckets, type UsageRange } from '../domain/usage/buckets.js';
import type { UsageBucket as UsageBucketShape } from '../domain/usage/read.js';
import { ApiKey } from './api-key/types.js';
import { builder } from './builder.js';
import { Credits } from './credit.js';
import { UsageBucketSize, VerificationCode } from './enums.js';

const RefusalCount = builder.objectRef<UsageBucketShape['refusals'][number]>('RefusalCount').implement({
  description: 'How many requests were refused for one reason.',
  fields: (t) => ({
    code: t.expose('code', { type: VerificationCode, description: 'The reason.' }),
    requests: t.exposeFloat('requests', { description: 'How many of them.' }),
  }),
});

const UsageBucket = builder.objectRef<UsageBucketShape>('UsageBucket').implement({
  description:
    'What was asked in one hour, day or month. All counts are whole numbers. They are floats because those of a busy month can exceed an Int.',
  fields: (t) => ({
    startsAt: t.expose('startsAt', {
      type: 'DateTime',
      description: 'Where it begins. It ends where the next begins.',
    }),
    requests: t.exposeFloat('requests', {
      description: 'How many requests were verified, those refused included. Requests of a key to this API are not.',
    }),
    refusals: t.field({
      type: [RefusalCount],
      // Most buckets have none, and few have more than two.
      complexity: { field: 1, multiplier: 2 },
      description:
        'How many of them were refused, by reason in the order of the checks. Empty where all were let through.',
      resolve: ({ refusals }) => [...refusals],
    }),
    credits: t.exposeFloat('credits', {
      description:
        'Credits that were taken: charges when made, holds when captured. What was refunded later is still in it; the ledger has both.',
    }),
  }),
});

/** One statement reads it, and each bucket has to be told. */
const usageComplexity = (range: UsageRange) => ({ field: 10, multiplier: estimateBuckets(range) });

const range = builder.args((t) => ({
  from: t.field({ type: 'DateTime', required: true, description: 'The bucket in which this falls is the first.' }),
  to: t.field({
    type: 'DateTime',
    required: true,
    description: 'Later than `from`. The last bucket is the last one that begins before this.',
  }),
  bucket: t.field({
    type: UsageBucketSize,
    required: true,
    defaultValue: 'HOUR',
    description: `How long a bucket is. At most ${bucketsMax.HOUR} hours, ${bucketsMax.DAY} days or ${bucketsMax.MONTH} months at once.`,
  }),
}));

const gapless =
  'in whole buckets, oldest first and without gaps: where nothing was asked, the counts are 0. A few seconds late.';

builder.prismaObjectField(ApiKey, 'usage', (t) =>
  t.field({
    type: [UsageBucket],
    complexity: usageComplexity,
    authScopes: { permission: 'apiKey:read' },
    description: `How the key was used, ${gapless}`,
    args: range,
    resolve: ({ id }, asked, { loaders }) => loaders.usageOfKey.load({ ownerId: id, buckets: decideBuckets(asked) }),
  }),
);

builder.objectField(Credits, 'usage', (t) =>
  t.field({
    type: [UsageBucket],
    complexity: usageComplexity,
    authScopes: { permission: 'credits:read' },
    description: `How all keys of the workspace were used, those deleted since included, ${gapless}`,
    args: range,
    resolve: ({ workspaceId }, asked, { loaders }) =>
      loaders.usageOfWorkspace.load({ ownerId: workspaceId, buckets: decideBuckets(asked) }),
  }),
);
