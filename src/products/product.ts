import { z } from 'zod';
import { canShareSecret, type SecretFormat, secretFormat } from './secret-format.js';

/**
 * Permissions that a key can have on this server itself, on its own record and its workspace's credits. All
 * are permissions of the domain.
 */
export const apiKeyPermissions = ['workspace:read', 'apiKey:read', 'credits:read', 'signingSecret:rotate'] as const;

/** The closed list of result codes of a verification. */
export const verificationCodes = [
  'VALID',
  'MISSING_CREDENTIAL',
  'INVALID_CREDENTIAL',
  'DISABLED',
  'EXPIRED',
  'ORIGIN_NOT_ALLOWED',
  'FORBIDDEN',
  'WORKSPACE_SUSPENDED',
  'FEATURE_DISABLED',
  'RATE_LIMITED',
  'INSUFFICIENT_CREDITS',
] as const;
export type VerificationCode = (typeof verificationCodes)[number];
export type RefusalCode = Exclude<VerificationCode, 'VALID'>;

/** Ten attempts within 75 hours and 35 minutes: the example schedule of Standard Webhooks. */
export const webhookRetrySecondsDefault: readonly number[] = [
  5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
];

const slug = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,39}$/, 'must be 1 to 40 of a-z, 0-9, _ and -, beginning with a letter');
const permissionName = z
  .string()
  .max(100)
  .regex(/^[a-z][a-zA-Z0-9_]*:[a-z][a-zA-Z0-9_]*$/, 'must have the form resource:action');
const text = z.string().min(1).max(500);
const role = z.enum(['OWNER', 'ADMIN', 'MEMBER']);
/** Headers that this server or HTTP itself already uses. */
const reservedHeaders: readonly string[] = [
  'authorization',
  'cookie',
  'host',
  'origin',
  'content-type',
  'content-length',
];
const headerName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{1,60}$/, 'must be a header name in lower case')
  .refine((name) => !reservedHeaders.includes(name), `must not be a reserved header: ${reservedHeaders.join(', ')}`);

// The other bearer tokens of this server: service tokens, and session tokens of better-auth
// (`generateId(32)`). The secrets of a product must have another format.
const serviceTokenPrefix = 'tks_';
const sessionToken: SecretFormat = { prefix: '', alphabet: 'base62', length: 32 };

const credentialSchema = z.discriminatedUnion('transport', [
  z.strictObject({
    /** `Authorization: Bearer <secret>` */
    transport: z.literal('bearer'),
    secrets: z.strictObject({ LIVE: secretFormat, TEST: secretFormat.exactOptional() }),
  }),
  z.strictObject({
    /** Two headers: the public id of the key, and its secret. */
    transport: z.literal('headerPair'),
    keyIdHeader: headerName,
    secretHeader: headerName,
    keyId: secretFormat,
    secrets: z.strictObject({ LIVE: secretFormat, TEST: secretFormat.exactOptional() }),
  }),
]);

const issuers = z.discriminatedUnion('by', [
  /** Members with one of these roles. */
  z.strictObject({ by: z.literal('role'), PERSONAL: z.array(role).min(1), ORGANIZATION: z.array(role).min(1) }),
  /** Members who hold a permission in the workspace, by their role or as a single permission. */
  z.strictObject({ by: z.literal('permission'), permission: z.enum(['settings:manage', 'apiKey:create']) }),
  /** Only a service token: keys are not self-serve. */
  z.strictObject({ by: z.literal('operator') }),
]);

const wording = z.strictObject({
  status: z.int().min(400).max(599),
  /** The product's own error code. Null if its documentation has none. */
  code: z.string().min(1).max(100).nullable(),
  message: text,
});

/** The product's wording of each refusal, with defaults. */
const wordings = z.strictObject({
  MISSING_CREDENTIAL: wording.default({ status: 401, code: 'missing_credential', message: 'Send an API key.' }),
  INVALID_CREDENTIAL: wording.default({
    status: 401,
    code: 'invalid_credential',
    message: 'The API key is not valid.',
  }),
  DISABLED: wording.default({ status: 401, code: 'key_disabled', message: 'The API key is disabled.' }),
  EXPIRED: wording.default({ status: 401, code: 'key_expired', message: 'The API key has expired.' }),
  ORIGIN_NOT_ALLOWED: wording.default({
    status: 403,
    code: 'origin_not_allowed',
    message: 'The API key may not be used from this origin.',
  }),
  FORBIDDEN: wording.default({
    status: 403,
    code: 'forbidden',
    message: 'The API key does not hold the required permission.',
  }),
  WORKSPACE_SUSPENDED: wording.default({
    status: 403,
    code: 'workspace_suspended',
    message: 'The workspace is suspended.',
  }),
  FEATURE_DISABLED: wording.default({
    status: 403,
    code: 'feature_disabled',
    message: 'This feature is off for the workspace.',
  }),
  RATE_LIMITED: wording.default({
    status: 429,
    code: 'rate_limited',
    message: 'Too many requests. Wait and try again.',
  }),
  INSUFFICIENT_CREDITS: wording.default({ status: 402, code: 'insufficient_credits', message: 'Not enough credits.' }),
  /**
   * These two are not result codes. They are used in this server's own answers to the product's customers.
   */
  NOT_FOUND: wording.default({ status: 404, code: 'not_found', message: 'API key not found.' }),
  INTERNAL: wording.default({ status: 500, code: 'internal_error', message: 'Something went wrong on our side.' }),
});

/** A product: all settings in which products differ. Validated when the server starts. */
export const productSchema = z
  .strictObject({
    slug,
    title: z.string().min(1).max(100),
    description: text,
    credential: credentialSchema,
    issuers,
    /** What its keys may do at the product. By default a key holds all grantable permissions. */
    permissions: z
      .record(
        permissionName,
        z.strictObject({
          description: text,
          /** false: no key can hold it, for example the permission of an internal route. */
          grantable: z.boolean().default(true),
          /** A feature that must be enabled for the workspace. */
          feature: slug.exactOptional(),
        }),
      )
      .default({}),
    features: z
      .record(
        slug,
        z.strictObject({ description: text, enabledBy: z.enum(['CUSTOMER', 'OPERATOR']).default('OPERATOR') }),
      )
      .default({}),
    /** Whole or fractional credits per unit; a charge is rounded up to whole credits. */
    prices: z
      .record(
        slug,
        z.strictObject({
          credits: z.number().min(0).max(1_000_000),
          unit: z.string().min(1).max(40),
          description: text,
        }),
      )
      .default({}),
    /** Granted once per workspace, with its first key. */
    freeCredits: z.int().min(0).max(1_000_000_000).default(0),
    /** How TEST keys differ. */
    testKeys: z.strictObject({ free: z.boolean(), watermark: z.boolean() }).default({ free: true, watermark: false }),
    /** Per key, in rolling windows. */
    rateLimits: z
      .array(z.strictObject({ limit: z.int().min(1).max(1_000_000), windowSeconds: z.int().min(1).max(86_400) }))
      .max(4)
      .default([]),
    /**
     * While a shared Redis does not answer: `open` uses each process's own counts, `closed` refuses with 503.
     */
    rateLimitFallback: z.enum(['open', 'closed']).default('open'),
    /** Maximum number of ACTIVE keys of this product per workspace; null: no limit. */
    activeKeysMax: z.int().min(1).max(10_000).nullable().default(null),
    /** Whether each key has a secret that signs its webhooks. */
    signingSecrets: z.boolean().default(false),
    /** Longest time for which a key's old secret works beside the new one. Default 7 days; 0: no overlap. */
    rotation: z.strictObject({ overlapSecondsMax: z.int().min(0).max(2_592_000).default(604_800) }).prefault({}),
    /** How its keys' webhooks are delivered. */
    webhooks: z
      .strictObject({
        /** Seconds between the attempts of a delivery. There is one attempt more than there are values. */
        retrySeconds: z
          .array(z.int().min(1).max(604_800))
          .max(20)
          .default([...webhookRetrySecondsDefault]),
        /** Threshold for `credits.low`, until the workspace sets its own; null: no event. */
        creditsLowAt: z.int().min(0).max(1_000_000_000).nullable().default(null),
      })
      .prefault({}),
    /** Whether keys can be restricted to origins. */
    allowedOrigins: z.boolean().default(false),
    /** What a key may do on this server itself, with its own record and its workspace's credits. */
    keyPermissions: z.array(z.enum(apiKeyPermissions)).default(['workspace:read', 'apiKey:read', 'credits:read']),
    /** Lifetime of a hold that is neither captured nor released. */
    holdSeconds: z.int().min(1).max(2_592_000).default(3_600),
    /** How an Idempotency-Key works. */
    idempotency: z
      .strictObject({
        /**
         * Whether the same key with another input is refused. Otherwise the original is replayed, whatever
         * the input.
         */
        strict: z.boolean().default(false),
        /** How long a result can be replayed. */
        retentionHours: z.int().min(1).max(720).default(72),
      })
      .prefault({}),
    wording: wordings.prefault({}),
  })
  .superRefine((product, ctx) => {
    for (const [name, { feature }] of Object.entries(product.permissions)) {
      if (feature !== undefined && !Object.hasOwn(product.features, feature)) {
        ctx.addIssue({
          code: 'custom',
          path: ['permissions', name, 'feature'],
          message: `is not a feature of this product: ${feature}`,
        });
      }
    }
    const windows = product.rateLimits.map((limit) => limit.windowSeconds);
    if (new Set(windows).size < windows.length) {
      ctx.addIssue({
        code: 'custom',
        path: ['rateLimits'],
        message: 'must not have two limits with the same windowSeconds',
      });
    }
    if (!product.signingSecrets && product.keyPermissions.includes('signingSecret:rotate')) {
      ctx.addIssue({
        code: 'custom',
        path: ['keyPermissions'],
        message: 'must not include signingSecret:rotate unless signingSecrets is true',
      });
    }
    for (const { path, message } of findCredentialMistakes(product.credential)) {
      ctx.addIssue({ code: 'custom', path: ['credential', ...path], message });
    }
  })
  .transform((product) => ({
    ...product,
    permissions: withoutPrototype(product.permissions),
    features: withoutPrototype(product.features),
    prices: withoutPrototype(product.prices),
  }));

/** Checks a credential as a whole, after each of its fields was validated. */
function findCredentialMistakes(credential: z.output<typeof credentialSchema>): { path: string[]; message: string }[] {
  if (credential.transport === 'headerPair') {
    return credential.keyIdHeader === credential.secretHeader
      ? [{ path: ['secretHeader'], message: 'must differ from keyIdHeader' }]
      : [];
  }
  const { LIVE, TEST } = credential.secrets;
  const mistakes: { path: string[]; message: string }[] = [];
  for (const [environment, format] of Object.entries(credential.secrets)) {
    const path = ['secrets', environment, 'prefix'];
    if (format.prefix.startsWith(serviceTokenPrefix)) {
      mistakes.push({
        path,
        message: `must not begin with ${serviceTokenPrefix}, the prefix of this server's service tokens`,
      });
    }
    if (canShareSecret(format, sessionToken)) {
      mistakes.push({
        path,
        message: 'must contain _ or -, or length must change: 32 letters and digits are the format of session tokens',
      });
    }
  }
  if (TEST !== undefined && canShareSecret(LIVE, TEST)) {
    mistakes.push({
      path: ['secrets', 'TEST', 'prefix'],
      message: 'must differ from the prefix of LIVE, because a key could match both formats',
    });
  }
  return mistakes;
}

/** A copy without a prototype, so that a look-up of an action called `constructor` finds nothing. */
function withoutPrototype<T extends object>(record: T): T {
  const bare: object = Object.create(null);
  return Object.assign(bare, record);
}

/** A product as written in a file. */
export type ProductFile = z.input<typeof productSchema>;
/** A product as the server uses it: validated, with all defaults. */
export type Product = z.output<typeof productSchema>;
export type Wording = z.infer<typeof wording>;

/**
 * The products of this server, in the operator's order. The wording of the first one is used where the
 * product is unknown.
 */
export interface Products {
  readonly all: readonly Product[];
  readonly primary: Product;
  find(slug: string): Product | null;
}
