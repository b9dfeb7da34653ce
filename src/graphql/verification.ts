import type { Credential } from '../domain/keys/credential.js';
import type { RateLimitState as RateLimitStateShape } from '../domain/rate-limits/limiter.js';
import {
  type CheckResult,
  explainVerification,
  type VerificationExplanation as VerificationExplanationShape,
} from '../domain/verification/explain.js';
import type { VerificationCall } from '../domain/verification/idempotent.js';
import type { VerifyApiKeyInput as VerifyApiKeyInputShape } from '../domain/verification/request.js';
import {
  type Verification as VerificationShape,
  verifyApiKey,
  verifyApiKeyMutation,
  verifyApiKeysMutation,
} from '../domain/verification/verify.js';
import { ValidationError } from '../errors.js';
import type { Wording } from '../products/product.js';
import { ApiKey } from './api-key/types.js';
import { builder } from './builder.js';
import { Charge } from './charge.js';
import { throwWithin } from './command-field.js';
import { readsParentOnly } from './compiled/complete-value.js';
import type { Context } from './context.js';
import { Environment, VerificationCode } from './enums.js';
import { Workspace } from './workspace.js';

const Rejection = builder.objectRef<Wording>('Rejection').implement({
  description: 'Response to give to the customer, in the wording of the product.',
  fields: (t) => ({
    status: t.exposeInt('status', { description: 'HTTP status of the response.' }),
    code: t.exposeString('code', {
      nullable: true,
      description: 'Error code of the product. Null: the product has none for this case.',
    }),
    message: t.exposeString('message', { description: 'Human-readable message.' }),
  }),
});

const RateLimitState = builder.objectRef<RateLimitStateShape>('RateLimitState').implement({
  description: 'State of one rate limit of a key.',
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'Maximum number of requests in any window.' }),
    windowSeconds: t.exposeInt('windowSeconds', { description: 'Length of the window in seconds.' }),
    remaining: t.exposeInt('remaining', { description: 'Number of requests that are still allowed now.' }),
    resetAt: t.expose('resetAt', {
      type: 'DateTime',
      description: 'Time at which the oldest request leaves the window.',
    }),
  }),
});

const HttpHeader = builder.objectRef<{ name: string; value: string }>('HttpHeader').implement({
  description: 'A header to copy to the response to the customer.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the header.' }),
    value: t.exposeString('value', { description: 'Value of the header.' }),
  }),
});

const Verification = builder.objectRef<VerificationShape>('Verification').implement({
  description: 'Result of verifying one request of a customer. A refusal is a result, not an error.',
  fields: (t) => ({
    valid: t.boolean({
      description: 'Whether the request may be served.',
      extensions: readsParentOnly,
      resolve: ({ code }) => code === 'VALID',
    }),
    code: t.expose('code', { type: VerificationCode, description: 'Result code. `VALID`: the request may be served.' }),
    rejection: t.expose('rejection', {
      type: Rejection,
      nullable: true,
      description: 'Response to give to the customer. Null: the request is valid.',
    }),
    apiKey: t.prismaField({
      type: ApiKey,
      nullable: true,
      description: 'The API key. Null: the credential belongs to no key.',
      resolve: (query, { apiKeyId }, _args, { services }) =>
        apiKeyId === null ? null : services.db.apiKey.findUnique({ ...query, where: { id: apiKeyId } }),
    }),
    workspace: t.prismaField({
      type: Workspace,
      nullable: true,
      description: 'The workspace of the key. Null: the credential belongs to no key.',
      resolve: (query, { workspaceId }, _args, { services }) =>
        workspaceId === null ? null : services.db.workspace.findUnique({ ...query, where: { id: workspaceId } }),
    }),
    billable: t.exposeBoolean('billable', {
      description: 'Whether the request costs credits. False for refused requests.',
    }),
    watermark: t.exposeBoolean('watermark', {
      description: 'Whether output for this request has to carry a watermark.',
    }),
    charge: t.field({
      type: Charge,
      nullable: true,
      description: 'The charge. Null: none was requested, or the request was refused.',
      extensions: readsParentOnly,
      resolve: ({ charge }) => charge,
    }),
    rateLimits: t.expose('rateLimits', {
      type: [RateLimitState],
      description:
        'State of each rate limit of the key. Empty: the key has no limits, or the credential belongs to no key.',
    }),
    headers: t.expose('headers', {
      type: [HttpHeader],
      description: 'Headers to copy to the response to the customer.',
    }),
  }),
});

const KeyPairInput = builder.inputType('KeyPairInput', {
  description: 'A header pair.',
  fields: (t) => ({
    keyId: t.string({
      required: true,
      description: 'Value of the key id header. Empty: the request has no such header.',
    }),
    secret: t.string({
      required: true,
      description: 'Value of the secret header. Empty: the request has no such header.',
    }),
  }),
});

const CredentialInput = builder.inputType('CredentialInput', {
  description: "Credential of the customer's request.",
  isOneOf: true,
  fields: (t) => ({
    bearer: t.string({
      description: 'Text after `Authorization: Bearer`. Empty: the request has no such header.',
    }),
    pair: t.field({ type: KeyPairInput, description: 'Header pair, for products whose keys are pairs.' }),
  }),
});

const ChargeInput = builder.inputType('ChargeInput', {
  description: 'A charge to make if the credential is valid.',
  fields: (t) => ({
    action: t.string({ required: true, description: 'Name of the action, as in the price list of the product.' }),
    quantity: t.float({
      defaultValue: 1,
      description: 'Number of units, greater than 0. The charge is rounded up to whole credits.',
    }),
    hold: t.boolean({
      defaultValue: false,
      description: 'True: only reserve the credits, to be captured or released later.',
    }),
    idempotencyKey: t.string({
      description:
        'Key that the caller or the customer chooses. The same key in the same workspace and environment is charged only once; a repetition returns the original charge, whatever the other arguments are.',
    }),
  }),
});

const VerifyApiKeyInput = builder.inputType('VerifyApiKeyInput', {
  description: 'One request of a customer.',
  fields: (t) => ({
    credential: t.field({ type: CredentialInput, required: true, description: 'Credential of the request.' }),
    product: t.string({
      description: 'Slug of the requested product: keys of other products are refused. Default: any product.',
    }),
    environment: t.field({
      type: Environment,
      description: 'Requested environment: keys of the other environment are refused. Default: any environment.',
    }),
    requires: t.stringList({ description: 'Permissions that the key must hold, at most 20.' }),
    origin: t.string({ description: 'Value of the Origin header. Null: the request has none.' }),
    charge: t.field({ type: ChargeInput, description: 'Charge to make. Null: none.' }),
  }),
});

/** The most requests that `verifyApiKeys` answers at once. */
const verificationsMax = 100;

const firstCall: VerificationCall = { operation: 'verifyApiKey', position: 0 };
const throwWithinInput = throwWithin('input');

builder.mutationFields((t) => ({
  verifyApiKey: t.field({
    type: Verification,
    description:
      'Verifies one request of a customer: who is this, may they do this, and have they paid? For services. Call it for every request that the product gets.',
    authScopes: { permission: verifyApiKeyMutation.permission },
    mutation: verifyApiKeyMutation,
    args: { input: t.arg({ type: VerifyApiKeyInput, required: true, description: 'The request to verify.' }) },
    resolve: (_root, { input }, context) => verify(context, toInput(input), firstCall).catch(throwWithinInput),
  }),
  verifyApiKeys: t.field({
    type: [Verification],
    nullable: { list: false, items: true },
    complexity: ({ inputs }) => ({ field: 1, multiplier: inputs.length }),
    description:
      'Verifies up to 100 requests. Each has a result of its own: null, with an error at its position, where its input is invalid. For services.',
    authScopes: { permission: verifyApiKeysMutation.permission },
    mutation: verifyApiKeysMutation,
    args: {
      inputs: t.arg({ type: [VerifyApiKeyInput], required: true, description: 'Requests to verify, at most 100.' }),
    },
    resolve: async (_root, { inputs }, context) => {
      if (inputs.length > verificationsMax) {
        throw new ValidationError('inputs', `At most ${verificationsMax} requests can be verified at once.`);
      }
      const verifyAt = (input: typeof VerifyApiKeyInput.$inferInput, position: number) =>
        verify(context, toInput(input), { operation: 'verifyApiKeys', position }).catch(
          throwWithin(`inputs.${position}`),
        );
      if (context.idempotency !== null) return mapSequentially(inputs, verifyAt);
      const settled = await context.services.limitBatches(() => Promise.allSettled(inputs.map(verifyAt)));
      return settled.map((each) => (each.status === 'fulfilled' ? each.value : Promise.reject(each.reason)));
    },
  }),
}));

function verify({ services, idempotency }: Context, input: VerifyApiKeyInputShape, call: VerificationCall) {
  return idempotency === null ? verifyApiKey(services, input) : services.verifyIdempotently(idempotency, input, call);
}

/**
 * Starts each only after the one before has ended: with an idempotency key each takes a transaction, and
 * connections are few.
 */
function mapSequentially<Item, Result>(
  items: readonly Item[],
  run: (item: Item, index: number) => Promise<Result>,
): Promise<Result>[] {
  let previous: Promise<unknown> = Promise.resolve();
  return items.map((item, index) => {
    const result = previous.then(() => run(item, index));
    previous = result.catch(() => undefined);
    return result;
  });
}

const VerificationCheck = builder.objectRef<CheckResult>('VerificationCheck').implement({
  description: 'One check of a verification and its outcome.',
  fields: (t) => ({
    code: t.expose('code', {
      type: VerificationCode,
      description: 'Result code of a verification that fails this check.',
    }),
    rule: t.exposeString('rule', { description: 'Condition that the check tests.' }),
    passed: t.exposeBoolean('passed', {
      nullable: true,
      description: 'Whether the condition is met. Null: unknown, because the credential belongs to no key.',
    }),
    reason: t.exposeString('reason', { nullable: true, description: 'Why the check failed. Null: it passed.' }),
  }),
});

const VerificationExplanation = builder.objectRef<VerificationExplanationShape>('VerificationExplanation').implement({
  description: 'Why a verification ends as it does. Not for customers: it reveals more than a refusal does.',
  fields: (t) => ({
    code: t.expose('code', { type: VerificationCode, description: 'Result code of the verification.' }),
    apiKey: t.prismaField({
      type: ApiKey,
      nullable: true,
      description: 'The API key. Null: the credential belongs to no key that is visible to the caller.',
      resolve: (query, { apiKeyId }, _args, { services }) =>
        apiKeyId === null ? null : services.db.apiKey.findUnique({ ...query, where: { id: apiKeyId } }),
    }),
    checks: t.expose('checks', {
      type: [VerificationCheck],
      description: 'All checks in their order. The first failed check decides.',
    }),
  }),
});

builder.queryField('explainVerification', (t) =>
  t.field({
    type: VerificationExplanation,
    description:
      'Runs all checks of a verification without any effect, and returns which fail and why. For services, and for owners and admins about keys of their workspaces.',
    authScopes: { permission: 'apiKey:explain' },
    args: { input: t.arg({ type: VerifyApiKeyInput, required: true, description: 'The request to explain.' }) },
    resolve: (_root, { input }, { actor, services }) =>
      explainVerification(services, actor, toInput(input)).catch(throwWithin('input')),
  }),
);

function toInput(input: typeof VerifyApiKeyInput.$inferInput): VerifyApiKeyInputShape {
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

function toCharge({
  action,
  quantity,
  hold,
  idempotencyKey,
}: typeof ChargeInput.$inferInput): VerifyApiKeyInputShape['charge'] {
  return { action, quantity: quantity ?? 1, hold: hold ?? false, idempotencyKey };
}

function toCredential({ bearer, pair }: typeof CredentialInput.$inferInput): Credential {
  return pair ? { kind: 'pair', keyId: pair.keyId, secret: pair.secret } : { kind: 'bearer', token: bearer ?? '' };
}
