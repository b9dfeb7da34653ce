import { createApiKey } from './api-keys/create.js';
import { retireSecret } from './api-keys/retire-secret.js';
import { deleteApiKey, revokeApiKey } from './api-keys/revoke.js';
import { rotateApiKey } from './api-keys/rotate.js';
import { updateApiKey } from './api-keys/update.js';
import { grantCredits } from './credits/grant.js';
import { captureCharge, refundCharge, releaseCharge } from './credits/settle.js';
import type { Deps } from './deps.js';
import { disableFeature, enableFeature } from './features.js';
import { InFlight } from './idempotency/in-flight.js';
import { createKeyed } from './idempotency/keyed.js';
import { acceptInvitation, inviteMember } from './members/invite.js';
import { removeMember, updateMember } from './members/update.js';
import type { Actor } from './principal.js';
import { rotateSigningSecret } from './signing-secrets/rotate.js';
import { explainVerification } from './verification/explain.js';
import type { VerifyApiKey } from './verification/question.js';
import { createTurnstile } from './verification/turnstile.js';
import { verifyApiKey } from './verification/verify.js';
import { type AskedAs, verifyOnce } from './verification/verify-once.js';
import { setCreditsLowAt } from './webhooks/credit-alert.js';
import { publishCustomEvent } from './webhooks/custom-event.js';
import { redeliverWebhook, sendTestWebhook } from './webhooks/deliveries.js';
import { createWebhookEndpoint, deleteWebhookEndpoint, updateWebhookEndpoint } from './webhooks/endpoints.js';
import { createWorkspace } from './workspaces/create.js';
import { resumeWorkspace, suspendWorkspace, updateWorkspace } from './workspaces/update.js';

/** Everything that can be done, by subject. Each write takes who does it and what is asked. */
export type Domain = ReturnType<typeof createDomain>;

/** How many requests of many verifications are worked on at a time: enough to fill two statements. */
const turnsMax = 10;

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
      /** For many at once. What waits for its turn takes little memory, and what has its turn is soon done. */
      takeTurn: createTurnstile(turnsMax),
      explain: bind(explainVerification),
    },
  };
}
