import { type ExecutionResult, GraphQLError } from 'graphql';
import { type Answer, setHeader } from './answer.js';
import { type AcceptedMediaTypes, eventStream, type JsonMediaType } from './content-negotiation.js';
import { failsRequest, type PublicError, toExtensions } from './errors.js';
import { EventStream } from './event-stream.js';
import { isStream, type OperationResult } from './operation-result.js';

/** Describes an error to the client of this request, and logs it if it is unexpected. */
export type DescribeError = (error: unknown) => PublicError;

/**
 * A result without anything that may not leave the server, and the HTTP status and headers that it calls for.
 */
interface PublicResult {
  readonly status: number;
  readonly headers: readonly string[];
  readonly result: ExecutionResult;
}

/** Turns the result of an operation into an answer in a media type that the client accepts. */
export function presentResult(
  result: OperationResult,
  accepted: AcceptedMediaTypes,
  describe: DescribeError,
  requestId: string,
): Answer {
  const toPublic = (each: ExecutionResult, mediaType: JsonMediaType) =>
    toPublicResult(each, mediaType, describe, requestId);
  const serialize = (each: ExecutionResult) => JSON.stringify(toPublic(each, 'application/json').result);
  if (isStream(result)) {
    if (accepted.eventStream === null)
      throw new Error('A subscription was run for a client that accepts no event stream.');
    return { status: 200, headers: streamHeaders, body: new EventStream(result, serialize) };
  }
  if (accepted.json === null) {
    const { status, headers } = toPublic(result, 'application/json');
    return { status, headers: [...streamHeaders, ...headers], body: new EventStream(result, serialize) };
  }
  const { status, headers, result: shown } = toPublic(result, accepted.json);
  const contentType = contentTypes[accepted.json];
  return {
    status,
    headers: headers.length === 0 ? contentType : [...contentType, ...headers],
    body: JSON.stringify(shown),
  };
}

const contentTypes: Readonly<Record<JsonMediaType, readonly string[]>> = {
  'application/json': ['content-type', 'application/json; charset=utf-8'],
  'application/graphql-response+json': ['content-type', 'application/graphql-response+json; charset=utf-8'],
};

/** `x-accel-buffering` keeps nginx from holding events back. */
const streamHeaders: readonly string[] = ['content-type', eventStream, 'x-accel-buffering', 'no'];

/**
 * The one place through which every result leaves the server: errors are masked here, after all hooks of
 * plugins.
 */
function toPublicResult(
  result: ExecutionResult,
  mediaType: JsonMediaType,
  describe: DescribeError,
  requestId: string,
): PublicResult {
  if (result.errors === undefined) return { status: 200, headers: [], result };
  const errors = result.errors.map((error) => ({ error, shown: describe(error) }));
  const isFailure = isWholeFailure(
    result,
    errors.map(({ shown }) => shown),
  );
  const data = isFailure ? {} : { data: result.data ?? null };
  const extensions = result.extensions === undefined ? {} : { extensions: result.extensions };
  return {
    status: isFailure ? statusOf(errors, mediaType) : 200,
    headers: mergeHeaders(errors.map(({ shown }) => shown.headers)),
    result: {
      errors: errors.map(({ error, shown }) => toGraphqlError(error, shown, requestId)),
      ...data,
      ...extensions,
    },
  };
}

/**
 * Whether the request failed as a whole: before it ran, or because of an error that concerns the whole
 * request, and without any data. Then the response has no `data`, and its HTTP status is that of the error.
 */
function isWholeFailure({ data }: ExecutionResult, errors: readonly PublicError[]): boolean {
  if (data === undefined) return true;
  const hasData = data !== null && Object.values(data).some((value) => value !== null);
  return !hasData && errors.some(failsRequest);
}

/**
 * The highest status. In `application/json`, errors of the document count as 200 (GraphQL over HTTP, 6.4.1).
 */
function statusOf(errors: readonly { readonly shown: PublicError }[], mediaType: JsonMediaType): number {
  const isPlainJson = mediaType === 'application/json';
  return Math.max(...errors.map(({ shown }) => (isPlainJson && shown.okForPlainJson ? 200 : shown.status)));
}

function toGraphqlError(error: GraphQLError, shown: PublicError, requestId: string): GraphQLError {
  return new GraphQLError(shown.message, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    path: error.path ?? null,
    extensions: toExtensions(shown, requestId),
  });
}

function mergeHeaders(all: readonly PublicError['headers'][]): string[] {
  const merged: string[] = [];
  for (const headers of all) {
    for (const [name, value] of Object.entries(headers)) setHeader(merged, name.toLowerCase(), value);
  }
  return merged;
}
