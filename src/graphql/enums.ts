import { builder } from './builder.js';

export const WorkspaceKind = builder.enumType('WorkspaceKind', {
  description: 'Whose a workspace is.',
  values: {
    PERSONAL: { description: 'Of one person, made with the account.' },
    ORGANIZATION: { description: 'Of its members.' },
  } as const,
});

export const Role = builder.enumType('Role', {
  description: 'What somebody is in a workspace.',
  values: {
    OWNER: { description: 'May do everything, and makes others owners. A workspace keeps at least one.' },
    ADMIN: { description: 'May do everything but make, change or remove owners.' },
    MEMBER: { description: 'Sees the workspace, and uses its keys.' },
  } as const,
});

export const Environment = builder.enumType('Environment', {
  description: 'What a key is for.',
  values: {
    LIVE: { description: 'Real requests, which cost credits.' },
    TEST: { description: 'Trials. The product says whether they are free or watermarked.' },
  } as const,
});

export const ApiKeyStatus = builder.enumType('ApiKeyStatus', {
  description: 'Where a key stands.',
  values: {
    ACTIVE: { description: 'It works.' },
    DISABLED: { description: 'It is switched off, and can be switched on again.' },
    EXPIRED: { description: 'Its time is over. A later `expiresAt` brings it back.' },
    REVOKED: { description: 'It is ended for good.' },
  } as const,
});

export const SpendPeriod = builder.enumType('SpendPeriod', {
  description:
    'How long a spend limit counts. Periods begin on the hour, at midnight and on the first of the month, in UTC.',
  values: {
    HOUR: { description: 'An hour.' },
    DAY: { description: 'A day.' },
    MONTH: { description: 'A month.' },
  } as const,
});

export const LedgerEntryKind = builder.enumType('LedgerEntryKind', {
  description: 'Why credits moved.',
  values: {
    GRANT: { description: 'Credits were added.' },
    CHARGE: { description: 'Credits were taken for an action.' },
    REFUND: { description: 'Credits of a charge were given back.' },
    HOLD: { description: 'Credits were reserved for an action.' },
    CAPTURE: { description: 'Credits of a hold were taken, and the rest given back.' },
    RELEASE: { description: 'A hold was given back whole.' },
    EXPIRE: { description: 'Granted credits ran out of time.' },
  } as const,
});

export const ChargeState = builder.enumType('ChargeState', {
  description: 'Where a charge stands.',
  values: {
    POSTED: { description: 'The credits are taken.' },
    HELD: { description: 'The credits are reserved: capture or release them.' },
    CAPTURED: { description: 'All or part of a hold was taken.' },
    RELEASED: { description: 'The hold was given back.' },
    REFUNDED: { description: 'All that was taken was given back.' },
  } as const,
});

export const VerificationCode = builder.enumType('VerificationCode', {
  description: 'How a verification ends, in the order of the checks.',
  values: {
    VALID: { description: 'Serve the request. A charge that was asked for is done.' },
    MISSING_CREDENTIAL: { description: 'The request presents no credential.' },
    INVALID_CREDENTIAL: { description: 'Unknown, malformed, revoked, or of another product: they look the same.' },
    DISABLED: { description: 'The key is switched off.' },
    EXPIRED: { description: "The key's time is over." },
    ORIGIN_NOT_ALLOWED: { description: 'The key is restricted to other origins.' },
    FORBIDDEN: { description: 'The key does not hold a permission that is required.' },
    WORKSPACE_SUSPENDED: { description: 'The workspace is suspended by the operator.' },
    FEATURE_DISABLED: { description: 'A required permission needs a feature that is off for the workspace.' },
    RATE_LIMITED: { description: 'The key has used up a rate limit.' },
    INSUFFICIENT_CREDITS: {
      description:
        'The workspace cannot pay for the action, or the key has reached its spend limit. Nothing was taken.',
    },
  } as const,
});

export const UsageBucketSize = builder.enumType('UsageBucketSize', {
  description: 'How usage is added up. All are those of UTC.',
  values: {
    HOUR: { description: 'Whole hours.' },
    DAY: { description: 'Days, from midnight to midnight.' },
    MONTH: { description: 'Calendar months.' },
  } as const,
});

export const WebhookDeliveryState = builder.enumType('WebhookDeliveryState', {
  description: 'Where a delivery stands.',
  values: {
    PENDING: { description: 'It waits for its next attempt, or is being tried.' },
    DELIVERED: { description: 'The endpoint answered with a status from 200 to 299.' },
    FAILED: { description: 'All attempts failed.' },
    CANCELLED: { description: 'The endpoint was disabled or deleted before it could be delivered.' },
  } as const,
});

export const WebhookDisabledReason = builder.enumType('WebhookDisabledReason', {
  description: 'Why an endpoint is disabled.',
  values: {
    REQUESTED: { description: 'Somebody switched it off.' },
    GONE: { description: 'It answered 410 Gone.' },
    FAILING: { description: 'Nothing succeeded for five days.' },
  } as const,
});

export const WebhookFailure = builder.enumType('WebhookFailure', {
  description: 'Why no answer came.',
  values: {
    ADDRESS_REFUSED: { description: 'The name has no address, or one that is not public.' },
    CONNECTION_FAILED: { description: 'The connection could not be made, or broke.' },
    TLS_FAILED: { description: 'There was no TLS, or the certificate is not valid for the name.' },
    TIMED_OUT: { description: 'No answer came within 15 seconds.' },
    INVALID_RESPONSE: { description: 'What came was not HTTP.' },
  } as const,
});
