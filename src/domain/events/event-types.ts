import { ValidationError } from '../../errors.js';

/** What happens on this server. Each type has one shape of data; docs/webhooks.md shows them. */
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

/** What `sendTestWebhook` sends. Nobody has to listen for it. */
export const testEventType = 'webhook.test';

/** What this server speaks of, now or later: a product's own types begin with other words. */
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
  'An event type has the form subject.happened: two or more words of letters, digits and _, joined by full stops.';

/** The most event types that one endpoint names. */
export const eventTypesMax = 50;

/** The type of an event of the product's own. @throws ValidationError where it could be taken for one of this server */
export function parseCustomEventType(field: string, type: string): string {
  requireForm(field, type);
  const subject = subjectOf(type);
  if (ownSubjects.has(subject)) {
    throw new ValidationError(
      field,
      `Types that begin with ${subject} are this server's. Begin with a word of the product's own, such as job.`,
    );
  }
  return type;
}

/** What an endpoint listens for; empty: everything. Duplicates collapse. @throws ValidationError for a type that nothing will ever have */
export function parseEventTypes(field: string, types: readonly string[] | null | undefined): string[] {
  if (types == null) return [];
  if (types.length > eventTypesMax) {
    throw new ValidationError(field, `An endpoint names at most ${eventTypesMax} event types. An empty list: all.`);
  }
  for (const [index, type] of types.entries()) {
    requireForm(`${field}.${index}`, type);
    if (ownSubjects.has(subjectOf(type)) && !isOwn(type)) {
      throw new ValidationError(
        `${field}.${index}`,
        `This server has no such event type. It has: ${ownEventTypes.join(', ')}.`,
      );
    }
  }
  return [...new Set(types)];
}

function requireForm(field: string, type: string): void {
  if (type.length > typeLengthMax || !typePattern.test(type)) throw new ValidationError(field, typeForm);
}

/** Compared in lower case, so that `Api_Key.created` is nobody's either. */
function subjectOf(type: string): string {
  return (type.split('.', 1)[0] ?? '').toLowerCase();
}

function isOwn(type: string): boolean {
  return (ownEventTypes as readonly string[]).includes(type);
}
