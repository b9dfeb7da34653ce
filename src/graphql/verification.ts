import type { Credential } from '../domain/keys/credential.js';
import type { RateLimitState as RateLimitStateShape } from '../domain/rate-limits/limiter.js';
import type {
  CheckResult,
  VerificationExplanation as VerificationExplanationShape,
} from '../domain/verification/explain.js';
import type { VerifyApiKey } from '../domain/verification/question.js';
import type { Verification as VerificationShape } from '../domain/verification/verify.js';
import { ValidationError } from '../errors.js';
import type { Wording } from '../products/product.js';
import { ApiKey } from './api-key/types.js';
import { builder } from './builder.js';
import { Charge } from './charge.js';
import { Environment, VerificationCode } from './enums.js';
import { plain } from './plain/output.js';
import { Workspace } from './workspace.js';

const Rejection = builder.objectRef<Wording>('Rejection').implement({
  description: "What to tell the customer, in the product's own words.",
  fields: (t) => ({
    status: t.exposeInt('status', { description: 'The HTTP status to answer with.' }),
    code: t.exposeString('code', { nullable: true, description: "The product's word for it; null where it has none." }),
    message: t.exposeString('message', { description: 'A sentence for people.' }),
  }),
});

const RateLimitState = builder.objectRef<RateLimitStateShape>('RateLimitState').implement({
  description: 'Where a key stands in one of its rate limits.',
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'The most requests in any window.' }),
    windowSeconds: t.exposeInt('windowSeconds', { description: 'How long a window is, in seconds.' }),
    remaining: t.exposeInt('remaining', { description: 'How many more are let through now.' }),
    resetAt: t.expose('resetAt', { type: 'DateTime', description: 'When the oldest request leaves the window.' }),
  }),
});

const HttpHeader = builder.objectRef<{ name: string; value: string }>('HttpHeader').implement({
  description: 'A header to copy onto the answer to the customer.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    value: t.exposeString('value', { description: 'Its value.' }),
  }),
});

const Verification = builder.objectRef<VerificationShape>('Verification').implement({
  description: 'The answer to one request of a customer. A refusal is an answer too.',
  fields: (t) => ({
    valid: t.boolean({
      description: 'Whether to serve the request.',
      extensions: plain,
      resolve: ({ code }) => code === 'VALID',
    }),
    code: t.expose('code', { type: VerificationCode, description: 'How it ended.' }),
    rejection: t.expose('rejection', {
      type: Rejection,
      nullable: true,
      description: 'What to tell the customer; null when valid.',
    }),
    apiKey: t.prismaField({
      type: ApiKey,
      nullable: true,
      description: 'The key; null where the credential names none.',
      resolve: (query, { apiKeyId }, _args, { deps }) =>
        apiKeyId === null ? null : deps.db.apiKey.findUnique({ ...query, where: { id: apiKeyId } }),
    }),
    workspace: t.prismaField({
      type: Workspace,
      nullable: true,
      description: "The key's workspace; null where the credential names no key.",
      resolve: (query, { workspaceId }, _args, { deps }) =>
        workspaceId === null ? null : deps.db.workspace.findUnique({ ...query, where: { id: workspaceId } }),
    }),
    billable: t.exposeBoolean('billable', {
      description: 'Whether the request is one that costs. false when refused.',
    }),
    watermark: t.exposeBoolean('watermark', { description: 'Whether what is made for it is to be watermarked.' }),
    charge: t.field({
      type: Charge,
      nullable: true,
      description: 'The charge; null where none was asked for, or the request is refused.',
      extensions: plain,
      resolve: ({ charge }) => charge,
    }),
    rateLimits: t.expose('rateLimits', {
      type: [RateLimitState],
      description: 'Where the key stands in each of its limits; empty where it has none, or no key is known.',
    }),
    headers: t.expose('headers', {
      type: [HttpHeader],
      description: 'Headers to copy onto the answer to the customer.',
    }),
  }),
});

const KeyPairInput = builder.inputType('KeyPairInput', {
  description: 'The two halves of a header pair.',
  fields: (t) => ({
    keyId: t.string({ required: true, description: 'The public half; empty where the request has no such header.' }),
    secret: t.string({ required: true, description: 'The secret half; empty where the request has no such header.' }),
  }),
});

const CredentialInput = builder.inputType('CredentialInput', {
  description: 'What the customer presented.',
  isOneOf: true,
  fields: (t) => ({
    bearer: t.string({
      description: 'What followed `Authorization: Bearer`; empty where the request has no such header.',
    }),
    pair: t.field({ type: KeyPairInput, description: 'For products whose keys are a pair of headers.' }),
  }),
});

const ChargeInput = builder.inputType('ChargeInput', {
  description: 'What to charge for, if the credential is good.',
  fields: (t) => ({
    action: t.string({ required: true, description: 'The action, as the price list of the product names it.' }),
    quantity: t.float({
      defaultValue: 1,
      description: 'How many units, above zero. The cost rounds up to whole credits.',
    }),
    hold: t.boolean({ defaultValue: false, description: 'Reserve the credits, to be captured or released later.' }),
    idempotencyKey: t.string({
      description:
        'Chosen by the customer or by you: the same key in the same workspace and environment is charged once, and shows the original charge whatever else is said.',
    }),
  }),
});

const VerifyApiKeyInput = builder.inputType('VerifyApiKeyInput', {
  description: 'One request of a customer.',
  fields: (t) => ({
    credential: t.field({ type: CredentialInput, required: true, description: 'What the customer presented.' }),
    product: t.string({ description: 'The product that is asked for: keys of others are refused. Without it: any.' }),
    environment: t.field({
      type: Environment,
      description: 'The environment that is asked for: keys of the other are refused. Without it: any.',
    }),
    requires: t.stringList({ description: 'Permissions that the key has to hold, all of them. At most 20.' }),
    origin: t.string({ description: 'The Origin header of the request, where it had one.' }),
    charge: t.field({ type: ChargeInput, description: 'What to charge for.' }),
  }),
});

/** The most requests that `verifyApiKeys` answers at once. */
const verificationsMax = 100;

builder.mutationFields((t) => ({
  verifyApiKey: t.field({
    type: Verification,
    description:
      'Answers for one request: who is this, may they do this, and have they paid? For services. Call it for every request that the product gets.',
    authScopes: { permission: 'apiKey:verify' },
    args: { input: t.arg({ type: VerifyApiKeyInput, required: true, description: 'The request.' }) },
    resolve: (_root, { input }, { actor, domain }) => domain.verification.verify(actor, toQuestion(input)),
  }),
  verifyApiKeys: t.field({
    type: [Verification],
    nullable: { list: false, items: true },
    complexity: ({ inputs }) => ({ field: 1, multiplier: inputs.length }),
    description:
      'Answers for up to 100 requests at once, each by itself: null, with an error at its place, where an input is wrong. For services.',
    authScopes: { permission: 'apiKey:verify' },
    args: {
      inputs: t.arg({ type: [VerifyApiKeyInput], required: true, description: 'The requests, at most 100.' }),
    },
    resolve: async (_root, { inputs }, { actor, domain }) => {
      if (inputs.length > verificationsMax) {
        throw new ValidationError('inputs', `At most ${verificationsMax} requests can be answered at once.`);
      }
      const verify = (input: typeof VerifyApiKeyInput.$inferInput, place: number) =>
        domain.verification
          .verify(actor, toQuestion(input), { operation: 'verifyApiKeys', place })
          .catch((error: unknown) => throwAt(`inputs.${place}`, error));
      if (actor.idempotency != null) return mapInTurn(inputs, verify);
      const settled = await domain.verification.limitBatch(() => Promise.allSettled(inputs.map(verify)));
      return settled.map((each) => (each.status === 'fulfilled' ? each.value : Promise.reject(each.reason)));
    },
  }),
}));

/** Begins each only after the one before it has ended: under an idempotency key each takes a transaction, and connections are few. */
function mapInTurn<Item, Result>(
  items: readonly Item[],
  run: (item: Item, index: number) => Promise<Result>,
): Promise<Result>[] {
  let before: Promise<unknown> = Promise.resolve();
  return items.map((item, index) => {
    const result = before.then(() => run(item, index));
    before = result.catch(() => undefined);
    return result;
  });
}

/** Names the field of an input among many. */
function throwAt(place: string, error: unknown): never {
  if (!(error instanceof ValidationError)) throw error;
  throw new ValidationError(error.field.replace(/^input(?=\.)/, place), error.message);
}

const VerificationCheck = builder.objectRef<CheckResult>('VerificationCheck').implement({
  description: 'One check of a verification, and what it found.',
  fields: (t) => ({
    code: t.expose('code', { type: VerificationCode, description: 'How a verification ends that fails it.' }),
    rule: t.exposeString('rule', { description: 'What has to be so.' }),
    passed: t.exposeBoolean('passed', {
      nullable: true,
      description: 'Whether it is so; null where it cannot be said, since the credential names no key.',
    }),
    reason: t.exposeString('reason', { nullable: true, description: 'What is the matter; null where nothing is.' }),
  }),
});

const VerificationExplanation = builder.objectRef<VerificationExplanationShape>('VerificationExplanation').implement({
  description: 'Why a verification ends as it does. Not for the customer: it tells the truth.',
  fields: (t) => ({
    code: t.expose('code', { type: VerificationCode, description: 'How it would end.' }),
    apiKey: t.prismaField({
      type: ApiKey,
      nullable: true,
      description: 'The key; null where the credential names none that may be seen.',
      resolve: (query, { apiKeyId }, _args, { deps }) =>
        apiKeyId === null ? null : deps.db.apiKey.findUnique({ ...query, where: { id: apiKeyId } }),
    }),
    checks: t.expose('checks', {
      type: [VerificationCheck],
      description: 'All checks in their order. The first that failed decides.',
    }),
  }),
});

builder.queryField('explainVerification', (t) =>
  t.field({
    type: VerificationExplanation,
    description:
      'Makes every check of a verification without any effect, and says which fail and why. For services, and for owners and admins about the keys of their workspaces.',
    authScopes: { permission: 'apiKey:explain' },
    args: { input: t.arg({ type: VerifyApiKeyInput, required: true, description: 'The request.' }) },
    resolve: (_root, { input }, { actor, domain }) => domain.verification.explain(actor, toQuestion(input)),
  }),
);

function toQuestion(input: typeof VerifyApiKeyInput.$inferInput): VerifyApiKey {
  const { credential, product, environment, requires, origin, charge } = input;
  return {
    credential: toCredential(credential),
    product,
    environment,
    requires,
    origin,
    charge: charge && toCharge(charge),
  };
}

function toCharge({ action, quantity, hold, idempotencyKey }: typeof ChargeInput.$inferInput): VerifyApiKey['charge'] {
  return { action, quantity: quantity ?? 1, hold: hold ?? false, idempotencyKey };
}

function toCredential({ bearer, pair }: typeof CredentialInput.$inferInput): Credential {
  return pair ? { kind: 'pair', keyId: pair.keyId, secret: pair.secret } : { kind: 'bearer', token: bearer ?? '' };
}
