import { captureCharge, refundCharge, releaseCharge } from '../domain/credits/settle.js';
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { commandField } from './command-field.js';
import { readsParentOnly } from './compiled/complete-value.js';
import { ChargeState } from './enums.js';
import { Node } from './nodes.js';

export const Charge = builder.prismaObject('Charge', {
  interfaces: [Node],
  description: 'Credits that were charged or reserved for one action.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    product: t.exposeString('product', { description: 'Slug of the product.' }),
    action: t.exposeString('action', { description: 'Action that was charged, as in the price list of the product.' }),
    quantity: t.exposeFloat('quantity', { description: 'Number of units of the action.' }),
    credits: t.exposeInt('credits', {
      description: 'Credits that were charged or reserved. 0 for keys that are free of charge.',
    }),
    capturedCredits: t.exposeInt('capturedCredits', { description: 'Credits of a hold that were charged.' }),
    refundedCredits: t.exposeInt('refundedCredits', { description: 'Credits that were refunded.' }),
    balanceAfter: t.exposeInt('balanceAfter', {
      description: 'Balance of the workspace after the charge was last charged, captured or released.',
    }),
    state: t.expose('state', { type: ChargeState, description: 'Current state.' }),
    replayed: t.boolean({
      description: 'Whether this verification returned an earlier charge with the same idempotency key.',
      extensions: readsParentOnly,
      resolve: (charge) => 'replayed' in charge && charge.replayed === true,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of creation.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time at which a hold is released automatically. Null: it was never a hold.',
    }),
  }),
});

function chargePayload(name: string, description: string) {
  return builder.objectRef<{ charge: typeof Charge.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      charge: t.field({ type: Charge, description: 'The charge after the change.', resolve: ({ charge }) => charge }),
    }),
  });
}

const chargeId = 'Id of the charge, as returned by the verification.';

const CaptureChargeInput = builder.inputType('CaptureChargeInput', {
  description: 'A hold to capture. Without `credits` and `quantity`: all of it.',
  fields: (t) => ({
    chargeId: t.id({ required: true, description: chargeId }),
    credits: t.int({ description: 'Credits to charge, from 0 to the held credits. The rest is released.' }),
    quantity: t.float({ description: 'Units to charge, at the price of the action.' }),
  }),
});

const ReleaseChargeInput = builder.inputType('ReleaseChargeInput', {
  description: 'A hold to release.',
  fields: (t) => ({ chargeId: t.id({ required: true, description: chargeId }) }),
});

const RefundChargeInput = builder.inputType('RefundChargeInput', {
  description: 'A charge to refund.',
  fields: (t) => ({
    chargeId: t.id({ required: true, description: chargeId }),
    credits: t.int({ description: 'Credits to refund. Default: all that were not refunded yet.' }),
    reason: t.string({ description: 'Reason for the ledger, at most 500 characters.' }),
    idempotencyKey: t.string({
      description: 'Key that the caller chooses. The same key in the same workspace refunds only once.',
    }),
  }),
});

commandField(captureCharge, {
  description: 'Charges all or part of a hold and releases the rest. For services.',
  input: CaptureChargeInput,
  inputDescription: 'The hold to capture.',
  payload: chargePayload('CaptureChargePayload', 'The captured charge.'),
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError],
});

commandField(releaseCharge, {
  description: 'Releases a hold in full. For services.',
  input: ReleaseChargeInput,
  inputDescription: 'The hold to release.',
  payload: chargePayload('ReleaseChargePayload', 'The released charge.'),
  errors: [NotFoundError, ForbiddenError, ConflictError],
});

commandField(refundCharge, {
  description: 'Refunds all or part of a charge, at most what was charged. For services.',
  input: RefundChargeInput,
  inputDescription: 'The charge to refund.',
  payload: chargePayload('RefundChargePayload', 'The refunded charge.'),
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError],
});
