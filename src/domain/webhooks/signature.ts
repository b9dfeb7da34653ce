import { createHmac } from 'node:crypto';

const secretPrefix = 'whsec_';

export interface SignedHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/**
 * The headers of a webhook according to Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.payload`, one
 * signature per valid secret, separated by spaces. The id contains no full stop, so the parts cannot be
 * shifted.
 * @param secrets in the format that customers see: `whsec_` and base64
 * @param at the time of the attempt
 */
export function signWebhook(id: string, at: Date, payload: string, secrets: readonly string[]): SignedHeaders {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(secretPrefix.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${payload}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
