import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { WebhookFailure } from '../../generated/prisma/enums.js';
import type { AddressPolicy } from './address.js';
import { AddressRefusedError, connectGuarded, type Network, systemNetwork } from './guard.js';
import type { SignedHeaders } from './signature.js';

export interface WebhookRequest {
  readonly url: string;
  readonly headers: SignedHeaders;
  readonly payload: string;
}

/** Result of one attempt. */
export type AttemptOutcome =
  | {
      readonly status: number;
      readonly failure: null;
      /** The header `Retry-After`, unparsed. */
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

/**
 * Sends one request. The promise always resolves within the time limit.
 * @param signal aborts the request; the promise then never resolves
 */
export type SendWebhook = (request: WebhookRequest, signal?: AbortSignal) => Promise<AttemptOutcome>;

export interface SendOptions {
  readonly addresses: AddressPolicy;
  readonly network?: Network;
  /** Time limit from the DNS look-up to the status line. */
  readonly timeoutMs?: number;
}

/** The minimum that Standard Webhooks recommends. */
export const attemptTimeoutMs = 15_000;
/** Time limit for the start of the body, after the status. The body does not affect the result. */
const bodyMsMax = 1_000;
const responseBytesMax = 4_096;
/** Of the status line and the headers of a response. */
const headerBytesMax = 16_384;
/** Responses with a status below 200 before the final one. Servers send one, if any. */
const informationalMax = 10;
const responseLengthMax = 1_000;

/**
 * Sends each webhook over its own guarded connection. Redirects are not followed. Only the start of a
 * response is read.
 */
export function createSender({
  addresses,
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
        signal?.removeEventListener('abort', abort);
        request?.destroy();
        if (outcome !== null) resolve(outcome);
      };
      const abort = () => end(null);
      signal?.addEventListener('abort', abort, { once: true });
      try {
        request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
          method: 'POST',
          headers: {
            ...headers,
            'content-type': 'application/json',
            'content-length': body.length,
            'user-agent': 'Tollkeeper-Webhooks/1.0',
          },
          maxHeaderSize: headerBytesMax,
          createConnection: () => connectGuarded(network, url, addresses),
        });
        request.on('error', (error) => end(failed(failureOf(error))));
        let informationalCount = 0;
        const countInformational = () => {
          informationalCount += 1;
          if (informationalCount > informationalMax) end(failed('INVALID_RESPONSE'));
        };
        // 100 has an event of its own.
        request.on('continue', countInformational).on('information', countInformational);
        // A peer that switches protocols has not answered.
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
        end(failed(failureOf(error)));
      }
    });
}

function failed(failure: WebhookFailure): AttemptOutcome {
  return { status: null, failure, retryAfter: null, responseStart: null };
}

/** Reads the start of a body, until it ends, fails, reaches the maximum length or times out. */
function readStart(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = () => {
      clearTimeout(timer);
      resolve(toSafeText(Buffer.concat(chunks).subarray(0, responseBytesMax)));
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

/**
 * Text that is safe to store and show: without control characters, except line breaks and tabs, and without
 * bidi overrides.
 */
function toSafeText(bytes: Buffer): string {
  const text = bytes.toString('utf8').replaceAll(/[^\P{Cc}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu, '');
  // PostgreSQL counts code points, JavaScript UTF-16 units.
  return [...text].slice(0, responseLengthMax).join('');
}

/** Error codes of Node for connections that failed or broke. */
const connectionCodes = /^(E(ACCES|ADDR|CONN|HOST|MFILE|NET|NFILE|PERM|PIPE|TIMEDOUT)|ERR_SOCKET)/;
/** Error codes of TLS: from OpenSSL, its verification of certificates, and Node. */
const tlsCodes = /^EPROTO$|CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ALTNAME/;

function failureOf(error: unknown): WebhookFailure {
  if (error instanceof AddressRefusedError) return 'ADDRESS_REFUSED';
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // Does not disclose whether a name exists in this network: an unknown name looks like a refused one.
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ENODATA') return 'ADDRESS_REFUSED';
  if (tlsCodes.test(code)) return 'TLS_FAILED';
  if (connectionCodes.test(code) || isAggregate(error)) return 'CONNECTION_FAILED';
  return 'INVALID_RESPONSE';
}

/** Node throws an AggregateError if the connection to each address of a name failed. */
function isAggregate(error: unknown): boolean {
  return error instanceof AggregateError;
}
