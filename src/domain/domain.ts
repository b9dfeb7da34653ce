import { createApiKey } from './api-keys/create.js';
import { retireSecret } from './api-keys/retire-secret.js';
import { deleteApiKey, revokeApiKey } from './api-keys/revoke.js';
import { rotateApiKey } from './api-keys/rotate.js';
import { updateApiKey } from './api-keys/update.js';
import { grantCredits } from './credits/grant.js';
import { captureCharge, refundCharge, releaseCharge } from './credits/settle.js';
import type { Deps } from './deps.js';
import { type SwitchFeature, switchFeature } from './features.js';
import { acceptInvitation, inviteMember } from './members/invite.js';
import { removeMember, updateMember } from './members/update.js';
import type { Actor } from './principal.js';
import { rotateSigningSecret } from './signing-secrets/rotate.js';
import { explainVerification } from './verification/explain.js';
import type { VerifyApiKey } from './verification/question.js';
import { verifyApiKey } from './verification/verify.js';
import { createWorkspace } from './workspaces/create.js';
import { resumeWorkspace, suspendWorkspace, updateWorkspace } from './workspaces/update.js';

/** Everything that can be done, by subject. Each write takes who does it and what is asked. */
export type Domain = ReturnType<typeof createDomain>;

export function createDomain(deps: Deps) {
  /** Binds a function of the domain to what it works with. */
  const bind =
    <Input, Result>(run: (deps: Deps, actor: Actor, input: Input) => Promise<Result>) =>
    (actor: Actor, input: Input) =>
      run(deps, actor, input);

  return {
    workspaces: {
      create: bind(createWorkspace),
      update: bind(updateWorkspace),
      suspend: bind(suspendWorkspace),
      resume: bind(resumeWorkspace),
    },
    features: {
      enable: (actor: Actor, input: SwitchFeature) => switchFeature(deps, actor, input, true),
      disable: (actor: Actor, input: SwitchFeature) => switchFeature(deps, actor, input, false),
    },
    members: {
      invite: bind(inviteMember),
      accept: bind(acceptInvitation),
      update: bind(updateMember),
      remove: bind(removeMember),
    },
    apiKeys: {
      create: bind(createApiKey),
      update: bind(updateApiKey),
      rotate: bind(rotateApiKey),
      retireSecret: bind(retireSecret),
      revoke: bind(revokeApiKey),
      delete: bind(deleteApiKey),
    },
    signingSecrets: { rotate: bind(rotateSigningSecret) },
    credits: { grant: bind(grantCredits) },
    charges: { capture: bind(captureCharge), release: bind(releaseCharge), refund: bind(refundCharge) },
    verification: {
      verify: (input: VerifyApiKey) => verifyApiKey(deps, input),
      explain: bind(explainVerification),
    },
  };
}
