import { z } from 'zod';
import { apiKeyPermissions } from '../domain/permissions.js';

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

const slug = z.string().regex(/^[a-z][a-z0-9_-]{0,39}$/, 'must be 1 to 40 of a-z, 0-9, _ and -, beginning with a letter');
const permissionName = z
  .string()
  .max(100)
  .regex(/^[a-z][a-zA-Z0-9_]*:[a-z][a-zA-Z0-9_]*$/, 'must have the form resource:action');
const text = z.string().min(1).max(500);
const role = z.enum(['OWNER', 'ADMIN', 'MEMBER']);
const headerName = z.string().regex(/^[a-z][a-z0-9-]{1,60}$/, 'must be a header name in lower case');

/** How one secret is written: a prefix, random characters, and where wanted a CRC32 of all before it. */
const secretFormat = z.strictObject({
  prefix: z.string().max(40).regex(/^[A-Za-z0-9_-]*$/),
  alphabet: z.enum(['hex', 'base62']),
  /** How many random characters follow the prefix. At least 96 bits. */
  length: z.int().min(24).max(128),
  /** Six base62 characters: the CRC32 of prefix and random characters. */
  checksum: z.enum(['crc32-base62']).optional(),
});

const credential = z.discriminatedUnion('transport', [
  z.strictObject({
    /** `Authorization: Bearer <secret>` */
    transport: z.literal('bearer'),
    secrets: z.strictObject({ LIVE: secretFormat, TEST: secretFormat.optional() }),
  }),
  z.strictObject({
    /** Two headers: the public id of the key, and its secret. */
    transport: z.literal('headerPair'),
    keyIdHeader: headerName,
    secretHeader: headerName,
    keyId: secretFormat,
    secrets: z.strictObject({ LIVE: secretFormat, TEST: secretFormat.optional() }),
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

const wordings = z.strictObject({
  MISSING_CREDENTIAL: wording,
  INVALID_CREDENTIAL: wording,
  DISABLED: wording,
  EXPIRED: wording,
  ORIGIN_NOT_ALLOWED: wording,
  FORBIDDEN: wording,
  WORKSPACE_SUSPENDED: wording,
  FEATURE_DISABLED: wording,
  RATE_LIMITED: wording,
  INSUFFICIENT_CREDITS: wording,
  /** Not codes of a verification, but of this server's own answers to the product's customers. */
  NOT_FOUND: wording,
  INTERNAL: wording,
});

/** The words that a product has unless it says otherwise. */
const defaultWording: z.infer<typeof wordings> = {
  MISSING_CREDENTIAL: { status: 401, code: 'missing_credential', message: 'Send an API key.' },
  INVALID_CREDENTIAL: { status: 401, code: 'invalid_credential', message: 'The API key is not valid.' },
  DISABLED: { status: 401, code: 'key_disabled', message: 'The API key is disabled.' },
  EXPIRED: { status: 401, code: 'key_expired', message: 'The API key has expired.' },
  ORIGIN_NOT_ALLOWED: { status: 403, code: 'origin_not_allowed', message: 'The API key may not be used from this origin.' },
  FORBIDDEN: { status: 403, code: 'forbidden', message: 'The API key does not hold the permission that this needs.' },
  WORKSPACE_SUSPENDED: { status: 403, code: 'workspace_suspended', message: 'The workspace is suspended.' },
  FEATURE_DISABLED: { status: 403, code: 'feature_disabled', message: 'This feature is off for the workspace.' },
  RATE_LIMITED: { status: 429, code: 'rate_limited', message: 'Too many requests. Wait and try again.' },
  INSUFFICIENT_CREDITS: { status: 402, code: 'insufficient_credits', message: 'Not enough credits.' },
  NOT_FOUND: { status: 404, code: 'not_found', message: 'Not found.' },
  INTERNAL: { status: 500, code: 'internal_error', message: 'Something went wrong on our side.' },
};

/** What is sold: everything in which one product differs from another. Validated when the server starts. */
export const productSchema = z
  .strictObject({
    slug,
    title: z.string().min(1).max(100),
    description: text,
    credential,
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
          feature: slug.optional(),
        }),
      )
      .default({}),
    features: z
      .record(slug, z.strictObject({ description: text, enabledBy: z.enum(['CUSTOMER', 'OPERATOR']).default('OPERATOR') }))
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
    /** The most ACTIVE keys of this product per workspace; null: no limit of the product's. */
    activeKeysMax: z.int().min(1).max(10_000).nullable().default(null),
    /** Whether each key comes with a secret that signs its webhooks. */
    signingSecrets: z.boolean().default(false),
    /** Whether keys can be restricted to origins. */
    allowedOrigins: z.boolean().default(false),
    /** What a key may do on this server: with its own record and its workspace's credits. */
    keyPermissions: z.array(z.enum(apiKeyPermissions)).default(['workspace:read', 'apiKey:read', 'credits:read']),
    /** How long a hold lasts that is neither captured nor released. */
    holdSeconds: z.int().min(1).max(2_592_000).default(3_600),
    wording: wordings.partial().default({}),
  })
  .superRefine((product, ctx) => {
    for (const [name, { feature }] of Object.entries(product.permissions)) {
      if (feature !== undefined && !(feature in product.features)) {
        ctx.addIssue({ code: 'custom', path: ['permissions', name, 'feature'], message: `names a feature that the product does not declare: ${feature}` });
      }
    }
    const windows = product.rateLimits.map((limit) => limit.windowSeconds);
    if (new Set(windows).size < windows.length) {
      ctx.addIssue({ code: 'custom', path: ['rateLimits'], message: 'each window may stand once' });
    }
  })
  .transform((product) => ({ ...product, wording: { ...defaultWording, ...product.wording } }));

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
