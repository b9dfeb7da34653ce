import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { ChargeState } from './enums.js';
import { Node } from './nodes.js';
import { plain } from './plain/output.js';

export const Charge = builder.prismaObject('Charge', {
  interfaces: [Node],
  description: 'Credits taken, or reserved, for one action.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this charge.' }),
    product: t.exposeString('product', { description: 'For which product.' }),
    action: t.exposeString('action', { description: 'For which action.' }),
    quantity: t.exposeFloat('quantity', { description: 'For how many units of it.' }),
    credits: t.exposeInt('credits', { description: 'Whole credits that were taken or reserved. 0 for free keys.' }),
    capturedCredits: t.exposeInt('capturedCredits', { description: 'What was taken of a hold.' }),
    refundedCredits: t.exposeInt('refundedCredits', { description: 'What was given back since.' }),
    balanceAfter: t.exposeInt('balanceAfter', {
      description: 'The balance when it was last taken, captured or released.',
    }),
    state: t.expose('state', { type: ChargeState, description: 'Where it stands.' }),
    replayed: t.boolean({
      description: 'Whether the verification that shows it repeats an earlier one with the same idempotency key.',
      extensions: plain,
      resolve: (charge) => 'replayed' in charge && charge.replayed === true,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When a hold gives itself back; null for what was never held.',
    }),
  }),
});

function chargePayload(name: string, description: string) {
  return builder.objectRef<{ charge: typeof Charge.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      charge: t.field({ type: Charge, description: 'The charge as it is now.', resolve: ({ charge }) => charge }),
    }),
  });
}

const chargeId = 'The id of the charge, as the verification gave it.';

const CaptureChargeInput = builder.inputType('CaptureChargeInput', {
  description: 'How much of a hold to take. Without credits and quantity: all.',
  fields: (t) => ({
    chargeId: t.id({ required: true, description: chargeId }),
    credits: t.int({ description: 'Credits to take: from 0 to what is held.' }),
    quantity: t.float({ description: 'Units to take, at the price of the action.' }),
  }),
});

const ReleaseChargeInput = builder.inputType('ReleaseChargeInput', {
  description: 'A hold to give back.',
  fields: (t) => ({ chargeId: t.id({ required: true, description: chargeId }) }),
});

const RefundChargeInput = builder.inputType('RefundChargeInput', {
  description: 'How much of a charge to give back.',
  fields: (t) => ({
    chargeId: t.id({ required: true, description: chargeId }),
    credits: t.int({ description: 'Credits to give back. Without them: all that is left.' }),
    reason: t.string({ description: 'Why, for the ledger: at most 500 characters.' }),
    idempotencyKey: t.string({ description: 'Chosen by you: the same key in the same workspace refunds once.' }),
  }),
});

builder.mutationFields((t) => ({
  captureCharge: t.field({
    type: chargePayload('CaptureChargePayload', 'The captured charge.'),
    description: 'Takes all or part of a hold, and gives back the rest. For services.',
    authScopes: { permission: 'charge:settle' },
    args: { input: t.arg({ type: CaptureChargeInput, required: true, description: 'What to take.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.charges.capture(actor, input),
  }),
  releaseCharge: t.field({
    type: chargePayload('ReleaseChargePayload', 'The released charge.'),
    description: 'Gives a hold back whole. For services.',
    authScopes: { permission: 'charge:settle' },
    args: { input: t.arg({ type: ReleaseChargeInput, required: true, description: 'What to give back.' }) },
    errors: { types: [NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.charges.release(actor, input),
  }),
  refundCharge: t.field({
    type: chargePayload('RefundChargePayload', 'The refunded charge.'),
    description: 'Gives back all or part of a charge that was taken, never more than was. For services.',
    authScopes: { permission: 'charge:settle' },
    args: { input: t.arg({ type: RefundChargeInput, required: true, description: 'What to give back.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.charges.refund(actor, input),
  }),
}));
