import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { WebhookFailure } from '../../generated/prisma/enums.js';
import { AddressRefusedError, connectGuarded, type Network, systemNetwork } from './guard.js';
import type { SignedHeaders } from './signature.js';

export interface WebhookRequest {
  readonly url: string;
  readonly headers: SignedHeaders;
  readonly payload: string;
}

/** How one attempt went. */
export type AttemptOutcome =
  | {
      readonly status: number;
      readonly failure: null;
      /** What the endpoint asks to wait, as it wrote it. */
      readonly retryAfter: string | null;
      /** At most {@link responseLengthMax} characters of text. */
      readonly responseStart: string;
    }
  | {
      readonly status: null;
      readonly failure: WebhookFailure;
      readonly retryAfter: null;
      readonly responseStart: null;
    };

/** Makes one request. It always answers, within its limits. @param signal gives it up: then it never answers */
export type SendWebhook = (request: WebhookRequest, signal?: AbortSignal) => Promise<AttemptOutcome>;

export interface SendOptions {
  /** Whether private addresses and http may be called, for development. */
  readonly allowsPrivate: boolean;
  readonly network?: Network;
  /** From the first look at the name to the status line. */
  readonly timeoutMs?: number;
}

/** What Standard Webhooks recommends at least. */
export const attemptTimeoutMs = 15_000;
/** How long the start of a body is waited for once the status is there: it decides nothing. */
const bodyMsMax = 1_000;
const responseBytesMax = 4_096;
const responseLengthMax = 1_000;

/** Sends webhooks over a guarded connection each. Redirects are not followed, and of an answer no more is read than is shown. */
export function createSender({
  allowsPrivate,
  network = systemNetwork,
  timeoutMs = attemptTimeoutMs,
}: SendOptions): SendWebhook {
  return ({ url: text, headers, payload }, signal) =>
    new Promise((resolve) => {
      const url = new URL(text);
      const body = Buffer.from(payload);
      let request: ClientRequest | undefined;
      const timer = setTimeout(() => end(failed('TIMED_OUT')), timeoutMs);
      const end = (outcome: AttemptOutcome | null) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        request?.destroy();
        if (outcome !== null) resolve(outcome);
      };
      const giveUp = () => end(null);
      signal?.addEventListener('abort', giveUp, { once: true });
      try {
        request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
          method: 'POST',
          headers: {
            ...headers,
            'content-type': 'application/json',
            'content-length': body.length,
            'user-agent': 'Tollkeeper-Webhooks/1.0',
          },
          createConnection: () => connectGuarded(network, url, allowsPrivate),
        });
        request.on('error', (error) => end(failed(nameFailure(error))));
        // A peer that switches protocols or hangs up has not answered.
        request.on('upgrade', () => end(failed('INVALID_RESPONSE')));
        request.on('response', (response) => {
          clearTimeout(timer);
          void readStart(response).then((responseStart) =>
            end({
              status: response.statusCode ?? 0,
              failure: null,
              retryAfter: response.headers['retry-after'] ?? null,
              responseStart,
            }),
          );
        });
        request.end(body);
      } catch (error) {
        end(failed(nameFailure(error)));
      }
    });
}

function failed(failure: WebhookFailure): AttemptOutcome {
  return { status: null, failure, retryAfter: null, responseStart: null };
}

/** Reads what arrives of a body until it ends, breaks, is enough or takes too long. */
function readStart(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = () => {
      clearTimeout(timer);
      resolve(asShown(Buffer.concat(chunks).subarray(0, responseBytesMax)));
    };
    const timer = setTimeout(end, bodyMsMax);
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= responseBytesMax) end();
    });
    for (const event of ['end', 'error', 'close'] as const) response.once(event, end);
  });
}

/** Text that can be stored and shown: no control characters but line breaks and tabs, nothing that turns the direction of writing. */
function asShown(bytes: Buffer): string {
  const text = bytes.toString('utf8').replaceAll(/[^\P{Cc}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu, '');
  // PostgreSQL counts characters, JavaScript the halves of some.
  return [...text].slice(0, responseLengthMax).join('');
}

/** Codes of Node that say that the connection could not be made, or broke. */
const connectionCodes = /^(E(ACCES|ADDR|CONN|HOST|MFILE|NET|NFILE|PERM|PIPE|TIMEDOUT)|ERR_SOCKET)/;
/** Codes of OpenSSL, its verification of certificates, and Node's own. */
const tlsCodes = /^EPROTO$|CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ALTNAME/;

function nameFailure(error: unknown): WebhookFailure {
  if (error instanceof AddressRefusedError) return 'ADDRESS_REFUSED';
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // Whether a name exists only inside of this network is not told: it looks like one that is refused.
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ENODATA') return 'ADDRESS_REFUSED';
  if (tlsCodes.test(code)) return 'TLS_FAILED';
  if (connectionCodes.test(code) || isAggregate(error)) return 'CONNECTION_FAILED';
  return 'INVALID_RESPONSE';
}

/** What Node throws when each address of a name failed on its own. */
function isAggregate(error: unknown): boolean {
  return error instanceof AggregateError;
}
