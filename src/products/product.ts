import { z } from 'zod';
import { canShareSecret } from './secret-format.js';

/** What a key may be allowed on this server: its own record and its workspace's credits. All are permissions of the domain. */
export const apiKeyPermissions = ['workspace:read', 'apiKey:read', 'credits:read', 'signingSecret:rotate'] as const;

/** The closed list of how a verification ends. */
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

/** Ten attempts over 75 hours and 35 minutes: the schedule that Standard Webhooks gives as its example. */
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
/** Headers that already mean something to this server, or to every server. */
const takenHeaders: readonly string[] = ['authorization', 'cookie', 'host', 'origin', 'content-type', 'content-length'];
const headerName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{1,60}$/, 'must be a header name in lower case')
  .refine(
    (name) => !takenHeaders.includes(name),
    `must be a header of the product's own, none of ${takenHeaders.join(', ')}`,
  );

/** How one secret is written: a prefix, random characters, and where wanted a CRC32 of all before it. */
const secretFormat = z.strictObject({
  prefix: z
    .string()
    .max(40)
    .regex(/^[A-Za-z0-9_-]*$/, 'must consist of letters, digits, _ and -, or be empty'),
  alphabet: z.enum(['hex', 'base62']),
  /** How many random characters follow the prefix. At least 96 bits. */
  length: z.int().min(24).max(128),
  /** Six base62 characters: the CRC32 of prefix and random characters. */
  checksum: z.enum(['crc32-base62']).exactOptional(),
});

// What else comes to this server as a bearer token: its service tokens, and the sessions of better-auth
// (`generateId(32)`). No product may write its secrets likewise.
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
  /** Whoever holds a permission in the workspace, through a role or by itself. */
  z.strictObject({ by: z.literal('permission'), permission: z.enum(['settings:manage', 'apiKey:create']) }),
  /** Only a service token: keys are not self-serve. */
  z.strictObject({ by: z.literal('operator') }),
]);

const wording = z.strictObject({
  status: z.int().min(400).max(599),
  /** The product's own word; null where its document gives none. */
  code: z.string().min(1).max(100).nullable(),
  message: text,
});

/** The product's words for each refusal, and those that it has unless it says otherwise. */
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
    message: 'The API key does not hold the permission that this needs.',
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
  /** Not codes of a verification, but of this server's own answers to the product's customers. */
  NOT_FOUND: wording.default({ status: 404, code: 'not_found', message: 'API key not found.' }),
  INTERNAL: wording.default({ status: 500, code: 'internal_error', message: 'Something went wrong on our side.' }),
});

/** What is sold: everything in which one product differs from another. Validated when the server starts. */
export const productSchema = z
  .strictObject({
    slug,
    title: z.string().min(1).max(100),
    description: text,
    credential: credentialSchema,
    issuers,
    /** What its keys may do at the product. A key holds all that are grantable unless it is created with fewer. */
    permissions: z
      .record(
        permissionName,
        z.strictObject({
          description: text,
          /** false: no key ever holds it, such as that of an internal route. */
          grantable: z.boolean().default(true),
          /** Needs this feature to be on for the workspace. */
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
    /** Whole or fractional credits per unit; a charge rounds up to whole credits. */
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
    /** Per key, over rolling windows. */
    rateLimits: z
      .array(z.strictObject({ limit: z.int().min(1).max(1_000_000), windowSeconds: z.int().min(1).max(86_400) }))
      .max(4)
      .default([]),
    /** Where processes share their limits and Redis does not answer: `open` lets each go by what it knows, `closed` refuses with 503. */
    rateLimitFallback: z.enum(['open', 'closed']).default('open'),
    /** The most ACTIVE keys of this product per workspace; null: no limit of the product's. */
    activeKeysMax: z.int().min(1).max(10_000).nullable().default(null),
    /** Whether each key comes with a secret that signs its webhooks. */
    signingSecrets: z.boolean().default(false),
    /** For how long a key's old secret can go on working beside a new one: 7 days unless told; 0: it ends at once. */
    rotation: z.strictObject({ overlapSecondsMax: z.int().min(0).max(2_592_000).default(604_800) }).prefault({}),
    /** How its keys' webhooks are delivered. */
    webhooks: z
      .strictObject({
        /** Seconds between the attempts of a delivery; one fewer than there are attempts. */
        retrySeconds: z
          .array(z.int().min(1).max(604_800))
          .max(20)
          .default([...webhookRetrySecondsDefault]),
        /** What a workspace's `credits.low` waits for, until it says otherwise; null: it is not told. */
        creditsLowAt: z.int().min(0).max(1_000_000_000).nullable().default(null),
      })
      .prefault({}),
    /** Whether keys can be restricted to origins. */
    allowedOrigins: z.boolean().default(false),
    /** What a key may do on this server: with its own record and its workspace's credits. */
    keyPermissions: z.array(z.enum(apiKeyPermissions)).default(['workspace:read', 'apiKey:read', 'credits:read']),
    /** How long a hold lasts that is neither captured nor released. */
    holdSeconds: z.int().min(1).max(2_592_000).default(3_600),
    /** What an Idempotency-Key means. */
    idempotency: z
      .strictObject({
        /** Whether the same key with another input is refused. Otherwise it repeats the original, whatever the input. */
        strict: z.boolean().default(false),
        /** How long an answer can be asked for again. */
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
          message: `names a feature that the product does not declare: ${feature}`,
        });
      }
    }
    const windows = product.rateLimits.map((limit) => limit.windowSeconds);
    if (new Set(windows).size < windows.length) {
      ctx.addIssue({ code: 'custom', path: ['rateLimits'], message: 'must not state two limits for one window' });
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

/** What is wrong with a credential as a whole, though each of its fields is right. */
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
        message: `must not begin with ${serviceTokenPrefix}, as the service tokens of this server do`,
      });
    }
    if (canShareSecret(format, sessionToken)) {
      mistakes.push({
        path,
        message: 'must contain _ or -, or length must change: 32 letters and digits are a session of this server',
      });
    }
  }
  if (TEST !== undefined && canShareSecret(LIVE, TEST)) {
    mistakes.push({
      path: ['secrets', 'TEST', 'prefix'],
      message: 'must differ from that of LIVE, or no one can tell the keys apart',
    });
  }
  return mistakes;
}

/** A record that knows its own names only, so that an action called `constructor` is as unknown as any other. */
function withoutPrototype<T extends object>(record: T): T {
  const bare: object = Object.create(null);
  return Object.assign(bare, record);
}

/** A product as a file states it. */
export type ProductFile = z.input<typeof productSchema>;
/** A product as the server uses it: complete and checked. */
export type Product = z.output<typeof productSchema>;
export type SecretFormat = z.infer<typeof secretFormat>;
export type Wording = z.infer<typeof wording>;

/** The products of this server, by slug, in the order in which the operator named them. The first lends its words where no product is known. */
export interface Products {
  readonly all: readonly Product[];
  readonly primary: Product;
  find(slug: string): Product | null;
}
