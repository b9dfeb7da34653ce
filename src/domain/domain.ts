import pLimit from 'p-limit';
import type { Actor } from './access/principal.js';
import { InFlight } from './commands/in-flight.js';
import { createKeyed } from './commands/keyed.js';
import { setCreditsLowAt } from './credits/credit-alert.js';
import { captureCharge, refundCharge, releaseCharge } from './credits/settle.js';
import type { Deps } from './deps.js';
import { createApiKey } from './keys/create.js';
import { retireSecret } from './keys/retire-secret.js';
import { deleteApiKey, revokeApiKey } from './keys/revoke.js';
import { rotateApiKey } from './keys/rotate.js';
import { rotateSigningSecret } from './keys/rotate-signing-secret.js';
import { updateApiKey } from './keys/update.js';
import { grantCredits } from './ledger/grant.js';
import { explainVerification } from './verification/explain.js';
import type { VerifyApiKey } from './verification/question.js';
import { verifyApiKey } from './verification/verify.js';
import { type AskedAs, verifyOnce } from './verification/verify-once.js';
import { publishCustomEvent } from './webhooks/custom-event.js';
import { redeliverWebhook, sendTestWebhook } from './webhooks/deliveries.js';
import { createWebhookEndpoint, deleteWebhookEndpoint, updateWebhookEndpoint } from './webhooks/endpoints.js';
import { createWorkspace } from './workspaces/create.js';
import { disableFeature, enableFeature } from './workspaces/features.js';
import { acceptInvitation, inviteMember } from './workspaces/invitations.js';
import { removeMember, updateMember } from './workspaces/members.js';
import { resumeWorkspace, suspendWorkspace, updateWorkspace } from './workspaces/update.js';

/** Everything that can be done, by subject. Each write takes who does it and what is asked. */
export type Domain = ReturnType<typeof createDomain>;

/** How many `verifyApiKeys` requests run at a time: enough to fill two statements. */
const batchRequestsMax = 10;

const alone: AskedAs = { operation: 'verifyApiKey', place: 0 };

export function createDomain(deps: Deps) {
  /** Binds a function of the domain to what it works with. */
  const bind =
    <Input, Result>(run: (deps: Deps, actor: Actor, input: Input) => Promise<Result>) =>
    (actor: Actor, input: Input) =>
      run(deps, actor, input);
  const inFlight = new InFlight();
  const keyed = createKeyed(deps, inFlight);

  return {
    workspaces: {
      create: keyed('createWorkspace', createWorkspace),
      update: keyed('updateWorkspace', updateWorkspace),
      suspend: keyed('suspendWorkspace', suspendWorkspace),
      resume: keyed('resumeWorkspace', resumeWorkspace),
    },
    features: {
      enable: keyed('enableFeature', enableFeature),
      disable: keyed('disableFeature', disableFeature),
    },
    members: {
      invite: keyed('inviteMember', inviteMember),
      accept: keyed('acceptInvitation', acceptInvitation),
      update: keyed('updateMember', updateMember),
      remove: keyed('removeMember', removeMember),
    },
    apiKeys: {
      create: keyed('createApiKey', createApiKey),
      update: keyed('updateApiKey', updateApiKey),
      rotate: keyed('rotateApiKey', rotateApiKey),
      retireSecret: keyed('retireSecret', retireSecret),
      revoke: keyed('revokeApiKey', revokeApiKey),
      delete: keyed('deleteApiKey', deleteApiKey),
    },
    signingSecrets: { rotate: keyed('rotateSigningSecret', rotateSigningSecret) },
    webhooks: {
      createEndpoint: keyed('createWebhookEndpoint', createWebhookEndpoint),
      updateEndpoint: keyed('updateWebhookEndpoint', updateWebhookEndpoint),
      deleteEndpoint: keyed('deleteWebhookEndpoint', deleteWebhookEndpoint),
      sendTest: keyed('sendTestWebhook', sendTestWebhook),
      redeliver: keyed('redeliverWebhook', redeliverWebhook),
      publish: keyed('publishEvent', publishCustomEvent),
    },
    credits: { grant: keyed('grantCredits', grantCredits), setLowAt: keyed('setCreditsLowAt', setCreditsLowAt) },
    charges: {
      capture: keyed('captureCharge', captureCharge),
      release: keyed('releaseCharge', releaseCharge),
      refund: keyed('refundCharge', refundCharge),
    },
    verification: {
      verify: (actor: Actor, input: VerifyApiKey, as: AskedAs = alone) =>
        actor.idempotency == null
          ? verifyApiKey(deps, input)
          : verifyOnce(deps, inFlight, actor.idempotency, input, as),
      /** Runs a request of many verifications when few enough others run. A waiting request takes little memory. */
      limitBatch: pLimit(batchRequestsMax),
      explain: bind(explainVerification),
    },
  };
}
