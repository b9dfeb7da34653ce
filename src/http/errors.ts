import { GraphQLError } from 'graphql';
import { isUnavailable } from '../db/transaction.js';
import type { Principal } from '../domain/access/principal.js';
import {
  BodyTooLargeError,
  DomainError,
  type ErrorCode,
  MethodNotAllowedError,
  NotAcceptableError,
  UnauthenticatedError,
  UnavailableError,
  UnsupportedMediaTypeError,
} from '../errors.js';
import type { Products } from '../products/product.js';
import { type Answer, answerJson, toHeaderList } from './answer.js';
import type { Redact } from './redact.js';

/** The codes of errors in responses: those of the domain, of graphql-js, and one for unexpected failures. */
export type PublicCode = ErrorCode | 'GRAPHQL_PARSE_FAILED' | 'GRAPHQL_VALIDATION_FAILED' | 'INTERNAL_SERVER_ERROR';

/** The public part of an error, from which routes make the bodies of their responses. */
export interface PublicError {
  readonly message: string;
  readonly code: PublicCode;
  /** The HTTP status if the error fails the whole request. */
  readonly status: number;
  /**
   * Whether the status is 200 in `application/json` all the same: errors of the document, by GraphQL over
   * HTTP (6.4.1).
   */
  readonly okForPlainJson: boolean;
  readonly productCode: string | null;
  /** The path of the invalid input, such as `input.name`. */
  readonly field: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** The error to log: an unexpected failure, or an unreachable database. Null: nothing to log. */
  readonly unexpected: unknown;
}

const internalMessage = 'Internal server error. Contact the operator of this server and quote the request id.';

/**
 * These fail the whole request if no field has data. All other errors are reported beside the data, with 200.
 */
const requestFailingCodes: ReadonlySet<PublicCode> = new Set([
  'UNAUTHENTICATED',
  'RATE_LIMITED',
  'SERVICE_UNAVAILABLE',
  'QUERY_TIMEOUT',
  'IDEMPOTENCY_KEY_IN_USE',
  'IDEMPOTENCY_KEY_REUSED',
  'INTERNAL_SERVER_ERROR',
]);

/** An invalid header fails the whole request. */
const headerFields: ReadonlySet<string | null> = new Set(['Idempotency-Key']);

export function failsRequest({ code, field }: PublicError): boolean {
  return requestFailingCodes.has(code) || headerFields.has(field);
}

/**
 * Decides what a client learns about an error. Errors of the domain, and errors of graphql-js and plugins
 * about the request, keep their message, with secrets redacted. All others are masked.
 */
export function toPublicError(error: unknown, redact: Redact): PublicError {
  const root = findRoot(error);
  if (root instanceof DomainError) return describeDomainError(root);
  if (isUnavailable(root)) return { ...describeDomainError(new UnavailableError()), unexpected: root };
  // The outermost error has the path and the extensions.
  if (root instanceof GraphQLError && error instanceof GraphQLError && isAboutTheRequest(root, error)) {
    return describeRequestError(error, redact);
  }
  return { ...base, message: internalMessage, code: 'INTERNAL_SERVER_ERROR', status: 500, unexpected: root };
}

/** An API key learns of a failure of this server in the wording of its product. */
export function applyProductWording(error: PublicError, principal: Principal | null, products: Products): PublicError {
  if (error.code !== 'INTERNAL_SERVER_ERROR' || principal?.kind !== 'apiKey') return error;
  const wording = products.find(principal.product)?.wording.INTERNAL;
  return wording === undefined
    ? error
    : { ...error, message: wording.message, status: wording.status, productCode: wording.code };
}

const base = {
  okForPlainJson: false,
  productCode: null,
  field: null,
  headers: {},
  unexpected: null,
} as const;

/** graphql-js wraps the error of a resolver to add its path. */
function findRoot(error: unknown): unknown {
  let root = error;
  while (root instanceof GraphQLError && root.originalError !== undefined) root = root.originalError;
  return root;
}

/** The HTTP status of an error that fails the whole request. */
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
  QUERY_TIMEOUT: 504,
  IDEMPOTENCY_KEY_IN_USE: 409,
  IDEMPOTENCY_KEY_REUSED: 422,
  SECRET_UNAVAILABLE: 410,
  SIGN_UP_CLOSED: 403,
  INVITATION_REQUIRED: 403,
};

function statusOf(error: DomainError): number {
  if (error instanceof BodyTooLargeError) return 413;
  if (error instanceof UnsupportedMediaTypeError) return 415;
  if (error instanceof NotAcceptableError) return 406;
  if (error instanceof MethodNotAllowedError) return 405;
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
    headers: headersOf(error),
  };
}

function headersOf(error: DomainError): Record<string, string> {
  if (error instanceof MethodNotAllowedError) return { allow: error.allowedMethods.join(', ') };
  if (!('retryAfterSeconds' in error) || typeof error.retryAfterSeconds !== 'number') return {};
  return { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfterSeconds))) };
}

/**
 * Whether an error concerns the request rather than this server. An error with a code is meant for clients.
 * graphql-js reports errors of the request without a path before it runs a field, and with nodes if an
 * argument is invalid; an error about the result of a resolver has a path and no nodes of its own.
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
  'QUERY_TIMEOUT',
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
  return {
    ...base,
    message: redact(error.message),
    code: isPublicCode(code) ? code : 'BAD_USER_INPUT',
    status: isRecord(http) && typeof http.status === 'number' ? http.status : 400,
    // graphql-js gives errors of variables no code, and Yoga marks errors of parsing and validation with
    // `spec`.
    okForPlainJson: isRecord(http) ? http.spec === true : code === undefined,
    field: typeof field === 'string' ? field : null,
    headers: isRecord(http) ? readHeaders(http.headers) : {},
  };
}

function readHeaders(headers: unknown): Record<string, string> {
  if (!isRecord(headers)) return {};
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The `extensions` of an error: always `code` and `requestId`, the others if they are known. */
export function toExtensions(error: PublicError, requestId: string): Record<string, string> {
  return {
    code: error.code,
    ...(error.productCode === null ? {} : { productCode: error.productCode }),
    ...(error.field === null ? {} : { field: error.field }),
    requestId,
  };
}

/** The response to a request that fails outside GraphQL, in the form of GraphQL's errors. */
export function answerError(error: PublicError, requestId: string): Answer {
  const body = { errors: [{ message: error.message, extensions: toExtensions(error, requestId) }] };
  return answerJson(body, error.status, toHeaderList(error.headers));
}
