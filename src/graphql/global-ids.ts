import { findIdKind, type IdKind } from '../db/ids.js';

/** The types that implement Node. An id is the database's own: it is prefixed, so it says by itself which of them it names. */
const nodeTypes: Partial<Record<IdKind, string>> = {
  apiKey: 'ApiKey',
  auditEvent: 'AuditEvent',
  charge: 'Charge',
  invitation: 'Invitation',
  keySecret: 'KeySecret',
  ledgerEntry: 'LedgerEntry',
  member: 'Member',
  user: 'User',
  webhookAttempt: 'WebhookAttempt',
  webhookDelivery: 'WebhookDelivery',
  webhookEndpoint: 'WebhookEndpoint',
  webhookEvent: 'WebhookEvent',
  workspace: 'Workspace',
};

/** What an id of no known kind decodes to: a workspace that nobody has, so that it answers like every id that names nothing. */
const unknownNode = { typename: 'Workspace', id: '' };

export function decodeGlobalId(globalId: string): { typename: string; id: string } {
  const kind = findIdKind(globalId);
  const typename = kind && nodeTypes[kind];
  return typename ? { typename, id: globalId } : unknownNode;
}
