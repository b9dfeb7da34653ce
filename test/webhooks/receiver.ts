import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';
import { onTestFinished, vi } from 'vitest';

/** A request that arrived at a receiver. */
export interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Receiver {
  /** Its URL without a path. */
  readonly url: string;
  readonly received: Received[];
}

/** How a receiver responds. The default is 200. */
export type Answer = (request: Received, response: ServerResponse, index: number) => void;

/** A receiver on loopback that records requests until the test ends. */
export async function aReceiver(answer: Answer = (_request, response) => response.end('thanks')): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    void text(request).then(
      (body) => {
        const arrived = { path: request.url ?? '', headers: request.headers as Record<string, string>, body };
        received.push(arrived);
        answer(arrived, response, received.length - 1);
      },
      // The sender was killed during the request.
      () => undefined,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('A server on a port has one.');
  return { url: `http://127.0.0.1:${address.port}`, received };
}

export interface VerifiedPayload {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Verifies a delivery with the public library, at the time of its attempt, because the library refuses
 * deliveries older than five minutes and the clocks of these tests move. @throws WebhookVerificationError
 */
export function verifyDelivery(secret: string, { headers, body }: Received): VerifiedPayload {
  vi.useFakeTimers({ toFake: ['Date'], now: Number(headers['webhook-timestamp']) * 1000 });
  try {
    return new Webhook(secret).verify(body, { ...headers }) as VerifiedPayload;
  } finally {
    vi.useRealTimers();
  }
}

/** Whether the public library accepts a delivery. */
export function isSignedWith(secret: string, delivery: Received): boolean {
  try {
    verifyDelivery(secret, delivery);
    return true;
  } catch {
    return false;
  }
}
