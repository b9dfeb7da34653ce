import { GraphQLError, type GraphQLErrorExtensions } from 'graphql';
import { isUnavailable } from '../db/transaction.js';
import {
  BodyTooLargeError,
  DomainError,
  type ErrorCode,
  UnauthenticatedError,
  UnavailableError,
  UnsupportedMediaTypeError,
} from '../errors.js';
import type { Redact } from './redact.js';

/** The codes that an answer may carry: those of the domain, of graphql-js, and the one for what nobody expected. */
export type PublicCode = ErrorCode | 'GRAPHQL_PARSE_FAILED' | 'GRAPHQL_VALIDATION_FAILED' | 'INTERNAL_SERVER_ERROR';

/** What may be shown of an error, before it is put into GraphQL's or into plain JSON's form. */
export interface PublicError {
  readonly message: string;
  readonly code: PublicCode;
  /** The HTTP status where the error ends the whole request. */
  readonly status: number;
  /** Whether a client that accepts `application/json` only gets 200 all the same, as GraphQL over HTTP (6.4.1) asks for errors of a document. */
  readonly okForPlainJson: boolean;
  readonly productCode: string | null;
  /** The path of the input that is wrong, such as `input.name`. */
  readonly field: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** What to log for the operator: what nobody expected, and a database out of reach. */
  readonly unexpected: unknown;
}

const internalMessage = 'Something went wrong on our side. Ask its operator, and quote the request id.';

/** These end a request as a whole where nothing else was delivered; all other errors stand beside the data, with 200. */
const requestEndingCodes: ReadonlySet<PublicCode> = new Set([
  'UNAUTHENTICATED',
  'RATE_LIMITED',
  'SERVICE_UNAVAILABLE',
  'IDEMPOTENCY_KEY_IN_USE',
  'IDEMPOTENCY_KEY_REUSED',
  'INTERNAL_SERVER_ERROR',
]);

/** What is wrong with a header is wrong with the whole request. */
const headerFields: ReadonlySet<string | null> = new Set(['Idempotency-Key']);

export function endsRequest({ code, field }: PublicError): boolean {
  return requestEndingCodes.has(code) || headerFields.has(field);
}

/**
 * Decides what a caller may learn of an error. Domain errors say what they say; errors of graphql-js and of the server
 * about the request itself keep their words, without any secret in them; all else is masked.
 */
export function toPublicError(error: unknown, redact: Redact): PublicError {
  const root = findRoot(error);
  if (root instanceof DomainError) return describeDomainError(root);
  if (isUnavailable(root)) return { ...describeDomainError(new UnavailableError()), unexpected: root };
  // The outermost of them says the most, such as which variable it was.
  if (root instanceof GraphQLError && error instanceof GraphQLError && isAboutTheRequest(root, error)) {
    return describeRequestError(error, redact);
  }
  return { ...base, message: internalMessage, code: 'INTERNAL_SERVER_ERROR', status: 500, unexpected: root };
}

const base = {
  okForPlainJson: false,
  productCode: null,
  field: null,
  headers: {},
  unexpected: null,
} as const;

/** graphql-js wraps what a resolver throws, to say where. */
function findRoot(error: unknown): unknown {
  let root = error;
  while (root instanceof GraphQLError && root.originalError !== undefined) root = root.originalError;
  return root;
}

/** The HTTP status of an error that ends a whole request. */
const statusByCode: Readonly<Record<ErrorCode, number>> = {
  BAD_USER_INPUT: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  LIMIT_REACHED: 409,
  INSUFFICIENT_CREDITS: 402,
  RATE_LIMITED: 429,
  SERVICE_UNAVAILABLE: 503,
  IDEMPOTENCY_KEY_IN_USE: 409,
  IDEMPOTENCY_KEY_REUSED: 422,
  SECRET_UNAVAILABLE: 410,
};

function statusOf(error: DomainError): number {
  if (error instanceof BodyTooLargeError) return 413;
  if (error instanceof UnsupportedMediaTypeError) return 415;
  if (error instanceof UnauthenticatedError && error.productStatus !== null) return error.productStatus;
  return statusByCode[error.code];
}

function describeDomainError(error: DomainError): PublicError {
  return {
    ...base,
    message: error.message,
    code: error.code,
    status: statusOf(error),
    productCode: 'productCode' in error && typeof error.productCode === 'string' ? error.productCode : null,
    field: 'field' in error && typeof error.field === 'string' ? error.field : null,
    headers:
      'retryAfterSeconds' in error && typeof error.retryAfterSeconds === 'number'
        ? { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfterSeconds))) }
        : {},
  };
}

/**
 * Whether the request is to blame. An error that states a code was meant to be shown. One that graphql-js raised before
 * any field ran, or about a field's arguments (then it knows their place in the document), is about the request; one
 * that it raised about a field's result is about this server.
 */
function isAboutTheRequest(root: GraphQLError, thrown: GraphQLError): boolean {
  if (typeof root.extensions.code === 'string') return root.extensions.code !== 'INTERNAL_SERVER_ERROR';
  return thrown.path === undefined || root.nodes !== undefined;
}

const knownCodes: ReadonlySet<string> = new Set<PublicCode>([
  'BAD_USER_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'CONFLICT',
  'LIMIT_REACHED',
  'INSUFFICIENT_CREDITS',
  'RATE_LIMITED',
  'SERVICE_UNAVAILABLE',
  'IDEMPOTENCY_KEY_IN_USE',
  'IDEMPOTENCY_KEY_REUSED',
  'SECRET_UNAVAILABLE',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
]);

function isPublicCode(code: unknown): code is PublicCode {
  return typeof code === 'string' && knownCodes.has(code);
}

function describeRequestError(error: GraphQLError, redact: Redact): PublicError {
  const { code, field, http } = error.extensions;
  const coercion = findCoercion(error.message);
  const known = isPublicCode(code) ? code : isSyntaxError(error) ? 'GRAPHQL_PARSE_FAILED' : 'BAD_USER_INPUT';
  return {
    ...base,
    message: redact(coercion?.message ?? error.message),
    code: known,
    status: readStatus(http) ?? 400,
    okForPlainJson: readSpec(http) ?? code === undefined,
    field:
      typeof field === 'string'
        ? field
        : (coercion?.field ?? findMissing(error.message) ?? findParameter(error.message)),
    headers: readHeaders(http),
  };
}

/** Yoga marks these, but only where a whole request of its own came with the document. */
function isSyntaxError({ message, path }: GraphQLError): boolean {
  return path === undefined && message.startsWith('Syntax Error: ');
}

const coercionPattern =
  /^(?<variable>Variable "\$(?<name>[^"]+)") got invalid value [\s\S]*?(?: at "(?<path>[^"]*)")?; (?<reason>[^;]*)$/;

/**
 * graphql-js quotes the value of a variable that does not fit, whole: with a credential in it, where a neighbour of the
 * credential is wrong. The value is left out; its path is named.
 */
function findCoercion(message: string): { message: string; field: string } | null {
  const groups = coercionPattern.exec(message)?.groups;
  if (groups === undefined) return null;
  const { variable = '', name = '', path, reason = '' } = groups;
  const place = path === undefined ? '' : ` at "${path}"`;
  // An item of a list is named as the domain names it: `input.permissions.0`.
  const field = (path ?? name).replaceAll(/\[(\d+)\]/g, '.$1');
  return { message: `${variable} got an invalid value${place}; ${reason}`, field };
}

/** The variable that was not given, or is null. */
function findMissing(message: string): string | null {
  return /^Variable "\$([^"]+)" of (?:required|non-null) type /.exec(message)?.[1] ?? null;
}

/** The parameter of GraphQL over HTTP that a refusal speaks of. */
function findParameter(message: string): string | null {
  return (
    /"(query|variables|operationName|extensions)"/.exec(message)?.[1] ?? (/query string/.test(message) ? 'query' : null)
  );
}

function readStatus(http: GraphQLErrorExtensions['http']): number | null {
  return isRecord(http) && typeof http.status === 'number' ? http.status : null;
}

function readSpec(http: GraphQLErrorExtensions['http']): boolean | null {
  return isRecord(http) ? http.spec === true : null;
}

function readHeaders(http: GraphQLErrorExtensions['http']): Record<string, string> {
  if (!isRecord(http) || !isRecord(http.headers)) return {};
  return Object.fromEntries(
    Object.entries(http.headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** What stands in `extensions`: `code` always, the others where there is something to say. */
export function toExtensions(error: PublicError, requestId: string): Record<string, string> {
  return {
    code: error.code,
    ...(error.productCode === null ? {} : { productCode: error.productCode }),
    ...(error.field === null ? {} : { field: error.field }),
    requestId,
  };
}

/** The answer to a request that GraphQL never saw, in the form in which GraphQL would have refused it. */
export function errorResponse(error: PublicError, requestId: string): Response {
  return Response.json(
    { errors: [{ message: error.message, extensions: toExtensions(error, requestId) }] },
    { status: error.status, headers: error.headers },
  );
}
