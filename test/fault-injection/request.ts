import type { TypedDocumentString } from '../generated/graphql.js';
import { type Answer, Client } from '../harness.js';
import { serviceToken } from './fault-test.js';

/** The longest that anybody may be kept waiting, whatever is broken. */
const answerMsMax = 15_000;

/** What came of a request: its data; a refusal that may be tried again; or nothing, since the server ended before it answered. */
export type Heard<Data> = { readonly kind: 'data'; readonly data: Data } | { readonly kind: 'unavailable' | 'lost' };

/** The product's backend, at one server. */
export function backendAt(url: string): Client {
  const patient = (path: string, init?: RequestInit) =>
    fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(answerMsMax) });
  return new Client(patient, { authorization: `Bearer ${serviceToken}` });
}

/** Asks once. @throws Error for every answer that is neither data nor the one that an outage gives, and for one that does not come. */
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
  throw new Error(`An answer that nobody may get: ${status} ${JSON.stringify({ data, errors })}`);
}

/** 503, with nothing delivered, one code, and when to come back. */
function isClearlyUnavailable({ status, headers, data, errors }: Answer<unknown>): boolean {
  return (
    status === 503 &&
    data === null &&
    errors.length === 1 &&
    errors[0]?.extensions?.code === 'SERVICE_UNAVAILABLE' &&
    headers.get('retry-after') === '1'
  );
}

/** fetch says so of a connection that is refused, and of one that ends before the answer does. An answer that does not come is no such end. */
function isConnectionEnd(error: unknown): boolean {
  return error instanceof TypeError && /^(fetch failed|terminated)$/.test(error.message);
}
