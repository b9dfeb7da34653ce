import {
  inWorkspace,
  type Kind,
  ofInviter,
  ofIssuer,
  ofPerson,
  onApiKey,
  onCharge,
  onMember,
  onSecretOfKey,
} from './place.js';

/** A mutation that can be repeated under an idempotency key. */
export interface Operation<Input> extends Kind<Input> {
  /** The parts of its result that are shown once, and the part that they belong to; null where nothing is. */
  readonly secrets: { readonly of: string; readonly parts: readonly string[] } | null;
}

/** Every mutation but the verifications, by its name in the schema: where it happens, and who may see again what came of it. */
export const operations = {
  createWorkspace: plain(ofPerson),
  updateWorkspace: plain(inWorkspace('workspace:update')),
  suspendWorkspace: plain(inWorkspace('workspace:suspend')),
  resumeWorkspace: plain(inWorkspace('workspace:suspend')),
  enableFeature: plain(inWorkspace('feature:update')),
  disableFeature: plain(inWorkspace('feature:update')),

  inviteMember: { ...ofInviter, secrets: { of: 'invitation', parts: ['token'] } },
  acceptInvitation: plain(ofPerson),
  updateMember: plain(onMember('member:update')),
  removeMember: plain(onMember('member:remove')),

  createApiKey: { ...ofIssuer, secrets: { of: 'apiKey', parts: ['secret', 'signingSecret'] } },
  updateApiKey: plain(onApiKey('apiKey:update')),
  rotateApiKey: { ...onApiKey('apiKey:rotate'), secrets: { of: 'apiKey', parts: ['secret'] } },
  retireSecret: plain(onSecretOfKey('apiKey:rotate')),
  revokeApiKey: plain(onApiKey('apiKey:revoke')),
  deleteApiKey: plain(onApiKey('apiKey:delete')),
  rotateSigningSecret: { ...onApiKey('signingSecret:rotate'), secrets: { of: 'apiKey', parts: ['signingSecret'] } },

  grantCredits: plain(inWorkspace('credits:grant')),
  captureCharge: plain(onCharge),
  releaseCharge: plain(onCharge),
  refundCharge: plain(onCharge),
} as const;

export type OperationName = keyof typeof operations;

/** What has to be known of the input of a mutation. */
export type InputOf<Name extends OperationName> =
  (typeof operations)[Name] extends Operation<infer Input> ? Input : never;

function plain<Input>(kind: Kind<Input>): Operation<Input> {
  return { ...kind, secrets: null };
}
