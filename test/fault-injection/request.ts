import type { TypedDocumentString } from '../generated/graphql.js';
import { type Answer, Client } from '../harness.js';
import { serviceToken } from './fault-test.js';

/** The maximum duration of a request in any outage. */
const answerMsMax = 15_000;

/**
 * The outcome of a request: its data, a refusal that may be retried, or no response because the server ended.
 */
export type Heard<Data> = { readonly kind: 'data'; readonly data: Data } | { readonly kind: 'unavailable' | 'lost' };

/** The client of a backend at one server. */
export function backendAt(url: string): Client {
  const patient = (path: string, init?: RequestInit) =>
    fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(answerMsMax) });
  return new Client(patient, { authorization: `Bearer ${serviceToken}` });
}

/**
 * Sends a request once. @throws Error for a response that is neither data nor a valid 503, and for a timeout
 */
export async function ask<Data, Input>(
  client: Client,
  document: TypedDocumentString<Data, Input>,
  variables: Input & Record<string, unknown>,
): Promise<Heard<Data>> {
  let answer: Answer<Data>;
  try {
    answer = await client.send<Data>(document.toString(), variables);
  } catch (error) {
    if (isConnectionEnd(error)) return { kind: 'lost' };
    throw new Error(`There was no answer within ${answerMsMax} ms, or none that can be read.`, { cause: error });
  }
  const { status, data, errors } = answer;
  if (status === 200 && data !== null && errors.length === 0) return { kind: 'data', data };
  if (isClearlyUnavailable(answer)) return { kind: 'unavailable' };
  throw new Error(`An unexpected answer: ${status} ${JSON.stringify({ data, errors })}`);
}

/** Whether it is a 503 without data, with one error code and Retry-After. */
function isClearlyUnavailable({ status, headers, data, errors }: Answer<unknown>): boolean {
  return (
    status === 503 &&
    data === null &&
    errors.length === 1 &&
    errors[0]?.extensions?.code === 'SERVICE_UNAVAILABLE' &&
    headers.get('retry-after') === '1'
  );
}

/**
 * Whether fetch failed because the connection was refused or ended before the response was complete. A
 * timeout is not.
 */
function isConnectionEnd(error: unknown): boolean {
  return error instanceof TypeError && /^(fetch failed|terminated)$/.test(error.message);
}
