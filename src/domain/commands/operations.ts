import type { Permission } from '../access/permissions.js';
import { type Kind, takes } from './place.js';
import { ofIssuer, onApiKey, onSecretOfKey } from './places-of-keys.js';
import { ofInviter, ofPerson, onMember } from './places-of-people.js';

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

  createWebhookEndpoint: plain(ofKey('webhook:manage')),
  updateWebhookEndpoint: plain(onEndpoint('webhook:manage')),
  deleteWebhookEndpoint: plain(onEndpoint('webhook:manage')),
  sendTestWebhook: plain(onEndpoint('webhook:manage')),
  redeliverWebhook: plain(
    takes('webhook:manage', ({ db }, { deliveryId }: { readonly deliveryId: string }) =>
      db.webhookDelivery.findUnique({ where: { id: deliveryId }, select: { workspaceId: true } }),
    ),
  ),
  publishEvent: plain(ofKeyOrWorkspace('event:publish')),
  setCreditsLowAt: plain(inWorkspace('webhook:manage')),

  grantCredits: plain(inWorkspace('credits:grant')),
  captureCharge: plain(onCharge('charge:settle')),
  releaseCharge: plain(onCharge('charge:settle')),
  refundCharge: plain(onCharge('charge:settle')),
} as const;

export type OperationName = keyof typeof operations;

/** What has to be known of the input of a mutation. */
export type InputOf<Name extends OperationName> =
  (typeof operations)[Name] extends Operation<infer Input> ? Input : never;

function plain<Input>(kind: Kind<Input>): Operation<Input> {
  return { ...kind, secrets: null };
}

function inWorkspace(permission: Permission): Kind<{ readonly workspaceId: string }> {
  return takes(permission, async (_deps, { workspaceId }) => ({ workspaceId }));
}

function ofKey(permission: Permission): Kind<{ readonly apiKeyId: string }> {
  return takes(permission, ({ db }, { apiKeyId }) =>
    db.apiKey.findUnique({ where: { id: apiKeyId }, select: { workspaceId: true, product: true } }),
  );
}

function ofKeyOrWorkspace(
  permission: Permission,
): Kind<{ readonly apiKeyId?: string | null | undefined; readonly workspaceId?: string | null | undefined }> {
  return takes(permission, async ({ db }, { apiKeyId, workspaceId }) => {
    if (workspaceId != null) return { workspaceId };
    if (apiKeyId == null) return null;
    return db.apiKey.findUnique({ where: { id: apiKeyId }, select: { workspaceId: true, product: true } });
  });
}

function onEndpoint(permission: Permission): Kind<{ readonly endpointId: string }> {
  return takes(permission, async ({ db }, { endpointId }) => {
    const endpoint = await db.webhookEndpoint.findUnique({
      where: { id: endpointId },
      select: { workspaceId: true, apiKey: { select: { product: true } } },
    });
    return endpoint && { workspaceId: endpoint.workspaceId, product: endpoint.apiKey.product };
  });
}

function onCharge(permission: Permission): Kind<{ readonly chargeId: string }> {
  return takes(permission, ({ db }, { chargeId }) =>
    db.charge.findUnique({ where: { id: chargeId }, select: { workspaceId: true, product: true } }),
  );
}
