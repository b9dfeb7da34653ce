import { builder } from './builder.js';

export const WorkspaceKind = builder.enumType('WorkspaceKind', {
  description: 'Kind of a workspace.',
  values: {
    PERSONAL: { description: 'Belongs to one person. Created with the account.' },
    ORGANIZATION: { description: 'Belongs to its members.' },
  } as const,
});

export const Role = builder.enumType('Role', {
  description: 'Role of a member in a workspace.',
  values: {
    OWNER: { description: 'Holds all permissions and may appoint owners. A workspace always has at least one owner.' },
    ADMIN: { description: 'Holds all permissions, but may not appoint, change or remove owners.' },
    MEMBER: { description: 'May see the workspace, its members, keys and credits.' },
  } as const,
});

export const InvitationState = builder.enumType('InvitationState', {
  description: 'State of an invitation.',
  values: {
    PENDING: { description: 'The invitation can be accepted until `expiresAt`.' },
    ACCEPTED: { description: 'The invited person joined the workspace.' },
    EXPIRED: { description: '`expiresAt` has passed. The invitation can no longer be accepted.' },
    REVOKED: {
      description:
        'Revoked by a member or a service, or because its sender can no longer send it. It cannot be accepted.',
    },
  } as const,
});

export const Environment = builder.enumType('Environment', {
  description: 'Environment of an API key.',
  values: {
    LIVE: { description: 'Real requests, which cost credits.' },
    TEST: { description: 'Test requests. The product defines whether they are free or watermarked.' },
  } as const,
});

export const ApiKeyStatus = builder.enumType('ApiKeyStatus', {
  description: 'State of an API key.',
  values: {
    ACTIVE: { description: 'The key is accepted.' },
    DISABLED: { description: 'The key is refused until it is enabled again.' },
    EXPIRED: { description: '`expiresAt` has passed. The key is refused until `expiresAt` is set to a later time.' },
    REVOKED: { description: 'The key is refused permanently.' },
  } as const,
});

export const SpendPeriod = builder.enumType('SpendPeriod', {
  description:
    'Length of a spend period. Periods begin on the hour, at midnight and on the first day of the month, in UTC.',
  values: {
    HOUR: { description: 'One hour.' },
    DAY: { description: 'One day.' },
    MONTH: { description: 'One calendar month.' },
  } as const,
});

export const LedgerEntryKind = builder.enumType('LedgerEntryKind', {
  description: 'Reason of a movement of credits.',
  values: {
    GRANT: { description: 'Credits were added.' },
    CHARGE: { description: 'Credits were charged for an action.' },
    REFUND: { description: 'Credits of a charge were given back.' },
    HOLD: { description: 'Credits were reserved for an action.' },
    CAPTURE: { description: 'Credits of a hold were charged, and the rest was released.' },
    RELEASE: { description: 'A hold was released in full.' },
    EXPIRE: { description: 'Granted credits expired.' },
  } as const,
});

export const ChargeState = builder.enumType('ChargeState', {
  description: 'State of a charge.',
  values: {
    POSTED: { description: 'The credits were charged.' },
    HELD: { description: 'The credits are reserved until the hold is captured, released or expires.' },
    CAPTURED: { description: 'All or part of the hold was charged.' },
    RELEASED: { description: 'The hold was released. Nothing was charged.' },
    REFUNDED: { description: 'All charged credits were refunded.' },
  } as const,
});

export const VerificationCode = builder.enumType('VerificationCode', {
  description:
    'Result of a verification. The checks run in this order; the first that fails decides: MISSING_CREDENTIAL, INVALID_CREDENTIAL, DISABLED, EXPIRED, ORIGIN_NOT_ALLOWED, FORBIDDEN, WORKSPACE_SUSPENDED, FEATURE_DISABLED, RATE_LIMITED, INSUFFICIENT_CREDITS.',
  values: {
    VALID: { description: 'The request may be served. The requested charge, if any, was made.' },
    MISSING_CREDENTIAL: { description: 'The request has no credential.' },
    INVALID_CREDENTIAL: {
      description: 'The credential is unknown, malformed, revoked or of another product. These cases look the same.',
    },
    DISABLED: { description: 'The key is disabled.' },
    EXPIRED: { description: 'The key has expired.' },
    ORIGIN_NOT_ALLOWED: { description: 'The key may not be used from this origin.' },
    FORBIDDEN: { description: 'The key lacks a required permission.' },
    WORKSPACE_SUSPENDED: { description: 'The operator suspended the workspace.' },
    FEATURE_DISABLED: { description: 'A required permission needs a feature that is disabled for the workspace.' },
    RATE_LIMITED: { description: 'A rate limit of the key is exhausted.' },
    INSUFFICIENT_CREDITS: {
      description: 'The workspace has too few credits, or the key has reached its spend limit. Nothing was charged.',
    },
  } as const,
});

export const UsageBucketSize = builder.enumType('UsageBucketSize', {
  description: 'Length of a usage bucket, in UTC.',
  values: {
    HOUR: { description: 'One hour.' },
    DAY: { description: 'One day, from midnight to midnight.' },
    MONTH: { description: 'One calendar month.' },
  } as const,
});

export const WebhookDeliveryState = builder.enumType('WebhookDeliveryState', {
  description: 'State of a webhook delivery.',
  values: {
    PENDING: { description: 'Waiting for the next attempt, or being attempted.' },
    DELIVERED: { description: 'The endpoint responded with a status from 200 to 299.' },
    FAILED: { description: 'All attempts failed.' },
    CANCELLED: { description: 'The endpoint was disabled or deleted before the delivery succeeded.' },
  } as const,
});

export const WebhookDisabledReason = builder.enumType('WebhookDisabledReason', {
  description: 'Reason why a webhook endpoint is disabled.',
  values: {
    REQUESTED: { description: 'It was disabled by a user or a service.' },
    GONE: { description: 'It responded with 410 Gone.' },
    FAILING: { description: 'No delivery succeeded for five days.' },
  } as const,
});

export const WebhookFailure = builder.enumType('WebhookFailure', {
  description: 'Reason why an attempt got no response.',
  values: {
    ADDRESS_REFUSED: { description: 'The host name does not resolve, or resolves to an address that is not public.' },
    CONNECTION_FAILED: { description: 'The connection could not be opened, or broke.' },
    TLS_FAILED: { description: 'TLS failed, or the certificate is not valid for the host name.' },
    TIMED_OUT: { description: 'No response within 15 seconds.' },
    INVALID_RESPONSE: { description: 'The response is not HTTP.' },
  } as const,
});
