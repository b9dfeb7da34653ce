import { ValidationError } from '../../errors.js';

/** Event types of this server. docs/webhooks.md shows the data of each type. */
export const ownEventTypes = [
  'api_key.created',
  'api_key.updated',
  'api_key.expiring',
  'api_key.revoked',
  'api_key.rotated',
  'signing_secret.rotated',
  'credits.granted',
  'credits.low',
  'credits.exhausted',
  'workspace.suspended',
  'webhook_endpoint.disabled',
] as const;
export type OwnEventType = (typeof ownEventTypes)[number];

/** Type of the event that `sendTestWebhook` sends. Endpoints receive it without subscribing. */
export const testEventType = 'webhook.test';

/**
 * First words that are reserved for event types of this server. Custom types must begin with another word.
 */
const ownSubjects: ReadonlySet<string> = new Set([
  'api_key',
  'audit',
  'charge',
  'credits',
  'key_secret',
  'member',
  'service_token',
  'signing_secret',
  'usage',
  'webhook',
  'webhook_endpoint',
  'workspace',
]);

const typePattern = /^[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z0-9_]+)+$/;
const typeLengthMax = 100;
const typeForm =
  'An event type must have the form subject.event, such as job.finished: words of letters, digits and _, joined by full stops.';

/** Maximum number of event types of one endpoint. */
export const eventTypesMax = 50;

/** Parses the type of a custom event. @throws ValidationError for another form or a reserved first word */
export function parseCustomEventType(field: string, type: string): string {
  requireForm(field, type);
  const subject = subjectOf(type);
  if (ownSubjects.has(subject)) {
    throw new ValidationError(
      field,
      `Event types that begin with ${subject} are reserved. Use another first word, such as job.`,
    );
  }
  return type;
}

/**
 * Parses the event types that an endpoint subscribes to; an empty list: all. Removes duplicates.
 * @throws ValidationError for an unknown type
 */
export function parseEventTypes(field: string, types: readonly string[] | null | undefined): string[] {
  if (types == null) return [];
  if (types.length > eventTypesMax) {
    throw new ValidationError(
      field,
      `An endpoint can subscribe to at most ${eventTypesMax} event types. Send an empty list to subscribe to all.`,
    );
  }
  for (const [index, type] of types.entries()) {
    requireForm(`${field}.${index}`, type);
    if (ownSubjects.has(subjectOf(type)) && !isOwn(type)) {
      throw new ValidationError(`${field}.${index}`, `Unknown event type. Use one of: ${ownEventTypes.join(', ')}.`);
    }
  }
  return [...new Set(types)];
}

function requireForm(field: string, type: string): void {
  if (type.length > typeLengthMax || !typePattern.test(type)) throw new ValidationError(field, typeForm);
}

/** The first word, in lower case so that `Api_Key.created` is reserved too. */
function subjectOf(type: string): string {
  return (type.split('.', 1)[0] ?? '').toLowerCase();
}

function isOwn(type: string): boolean {
  return (ownEventTypes as readonly string[]).includes(type);
}
