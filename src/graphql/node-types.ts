import { findIdKind, type IdKind } from '../db/ids.js';

/**
 * The types that implement Node. Ids are the database's own: the prefix of an id says which type it belongs
 * to.
 */
const nodeTypes = {
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
} as const satisfies Partial<Record<IdKind, string>>;

export type NodeType = (typeof nodeTypes)[keyof typeof nodeTypes];

/** The type of the node that an id can name; undefined for text that is no id of a node. */
export function findNodeType(id: string): NodeType | undefined {
  const kind = findIdKind(id);
  return kind !== null && kind in nodeTypes ? nodeTypes[kind as keyof typeof nodeTypes] : undefined;
}
