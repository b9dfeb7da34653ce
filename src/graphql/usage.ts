import { bucketsMax, decideBuckets, estimateBuckets, type UsageRange } from '../domain/usage/buckets.js';
import type { UsageBucket as UsageBucketShape } from '../domain/usage/read.js';
import { ApiKey } from './api-key/types.js';
import { builder } from './builder.js';
import { Credits } from './credit.js';
import { UsageBucketSize, VerificationCode } from './enums.js';

const RefusalCount = builder.objectRef<UsageBucketShape['refusals'][number]>('RefusalCount').implement({
  description: 'Number of requests that were refused for one reason.',
  fields: (t) => ({
    code: t.expose('code', { type: VerificationCode, description: 'Reason of the refusals.' }),
    requests: t.exposeFloat('requests', { description: 'Number of refused requests.' }),
  }),
});

const UsageBucket = builder.objectRef<UsageBucketShape>('UsageBucket').implement({
  description:
    'Usage in one hour, day or month. All counts are whole numbers; they are floats because those of a busy month can exceed an Int.',
  fields: (t) => ({
    startsAt: t.expose('startsAt', {
      type: 'DateTime',
      description: 'Start of the bucket. It ends where the next bucket starts.',
    }),
    requests: t.exposeFloat('requests', {
      description:
        'Number of verified requests, including refused ones. Requests of a key to this API are not counted.',
    }),
    refusals: t.field({
      type: [RefusalCount],
      // Most buckets have no refusals, and few have more than two kinds.
      complexity: { field: 1, multiplier: 2 },
      description: 'Number of refused requests by reason, in the order of the checks. Empty: none was refused.',
      resolve: ({ refusals }) => [...refusals],
    }),
    credits: t.exposeFloat('credits', {
      description:
        'Charged credits: charges when they were made, holds when they were captured. Later refunds are not subtracted; the ledger shows them.',
    }),
  }),
});

/** One statement reads all buckets, and each bucket is a part of the response. */
const usageComplexity = (range: UsageRange) => ({ field: 10, multiplier: estimateBuckets(range) });

const rangeArgs = builder.args((t) => ({
  from: t.field({ type: 'DateTime', required: true, description: 'Time in the first bucket.' }),
  to: t.field({
    type: 'DateTime',
    required: true,
    description: 'End of the range, later than `from`. The last bucket is the last one that starts before this time.',
  }),
  bucket: t.field({
    type: UsageBucketSize,
    required: true,
    defaultValue: 'HOUR',
    description: `Length of a bucket. At most ${bucketsMax.HOUR} hours, ${bucketsMax.DAY} days or ${bucketsMax.MONTH} months at once.`,
  }),
}));

const gapless =
  'in whole buckets, oldest first and without gaps: counts are 0 where there was no request. Delayed by a few seconds.';

builder.prismaObjectField(ApiKey, 'usage', (t) =>
  t.field({
    type: [UsageBucket],
    complexity: usageComplexity,
    authScopes: { permission: 'apiKey:read' },
    description: `Usage of the key, ${gapless}`,
    args: rangeArgs,
    resolve: ({ id }, range, { loaders }) => loaders.usageOfKey.load({ ownerId: id, buckets: decideBuckets(range) }),
  }),
);

builder.objectField(Credits, 'usage', (t) =>
  t.field({
    type: [UsageBucket],
    complexity: usageComplexity,
    authScopes: { permission: 'credits:read' },
    description: `Usage of all keys of the workspace, including deleted ones, ${gapless}`,
    args: rangeArgs,
    resolve: ({ workspaceId }, range, { loaders }) =>
      loaders.usageOfWorkspace.load({ ownerId: workspaceId, buckets: decideBuckets(range) }),
  }),
);
