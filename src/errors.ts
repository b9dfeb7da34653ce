/** The codes of expected failures, as GraphQL servers commonly name them. */
export type ErrorCode =
  | 'BAD_USER_INPUT'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'LIMIT_REACHED'
  | 'INSUFFICIENT_CREDITS'
  | 'RATE_LIMITED'
  | 'SERVICE_UNAVAILABLE'
  | 'QUERY_TIMEOUT'
  | 'IDEMPOTENCY_KEY_IN_USE'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'SECRET_UNAVAILABLE'
  | 'SIGN_UP_CLOSED'
  | 'INVITATION_REQUIRED';

/**
 * A failure at start-up that the operator can fix. The message is one or two sentences: what is wrong and
 * what to do. Only the message is printed, never a stack trace, and it never contains a secret.
 */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/**
 * A failure that a caller can expect and act on. Errors of any other class are masked before they leave the
 * server.
 */
export abstract class DomainError extends Error {
  abstract readonly code: ErrorCode;
  override get name(): string {
    return this.constructor.name;
  }
}

/** An expected failure that concerns one field of the input. */
export abstract class FieldError extends DomainError {
  constructor(
    /** The field's path within the input, such as `name` or `permissions.0`. */
    readonly field: string,
    message: string,
  ) {
    super(message);
  }

  /**
   * The same failure, with the field's path below the path of the input itself: `name` within `input` is
   * `input.name`.
   */
  abstract within(path: string): FieldError;
}

/** An input that cannot be accepted. */
export class ValidationError extends FieldError {
  readonly code = 'BAD_USER_INPUT';
  within(path: string): ValidationError {
    return new ValidationError(`${path}.${this.field}`, this.message);
  }
}

/** The record that a field names does not exist, or the principal may not see it. The two look the same. */
export class NotFoundError extends FieldError {
  readonly code = 'NOT_FOUND';
  within(path: string): NotFoundError {
    return new NotFoundError(`${path}.${this.field}`, this.message);
  }
}

/** A request body over the size limit. The rest of it is not read. */
export class BodyTooLargeError extends DomainError {
  readonly code = 'BAD_USER_INPUT';
  readonly field = 'body';
  constructor(bytesMax: number) {
    super(`The body of a request must have at most ${bytesMax} bytes.`);
  }
}

/** A request body that is not declared as JSON. */
export class UnsupportedMediaTypeError extends DomainError {
  readonly code = 'BAD_USER_INPUT';
  readonly field = 'content-type';
  constructor() {
    super('The body of a request must be JSON: send it with the content type application/json.');
  }
}

/** An `Accept` header without any of the media types that this server sends. */
export class NotAcceptableError extends DomainError {
  readonly code = 'BAD_USER_INPUT';
  readonly field = 'accept';
  constructor() {
    super('Accept application/json, application/graphql-response+json or text/event-stream.');
  }
}

/** A method that the path does not support. */
export class MethodNotAllowedError extends DomainError {
  readonly code = 'BAD_USER_INPUT';
  constructor(readonly allowedMethods: readonly string[]) {
    super(`Use one of these methods: ${allowedMethods.join(', ')}.`);
  }
}

/** The principal sees the record but lacks the permission. */
export class ForbiddenError extends DomainError {
  readonly code = 'FORBIDDEN';
  constructor(
    readonly permission: string,
    message = `This needs the permission ${permission}.`,
    /** The product's own code for this refusal; null where the product is not known or has none. */
    readonly productCode: string | null = null,
  ) {
    super(message);
  }
}

/** The current state does not allow the operation. */
export class ConflictError extends DomainError {
  readonly code = 'CONFLICT';
}

/** A limit of the product or of this server is reached. */
export class LimitReachedError extends DomainError {
  readonly code = 'LIMIT_REACHED';
  constructor(
    readonly limit: number,
    message: string,
  ) {
    super(message);
  }
}

/** A missing credential where one is required, or a wrong one. */
export class UnauthenticatedError extends DomainError {
  readonly code = 'UNAUTHENTICATED';
  constructor(
    message: string,
    /** The product's own code for this refusal; null where it has none. */
    readonly productCode: string | null = null,
    /** The HTTP status that the product's wording states; null: the server's own. */
    readonly productStatus: number | null = null,
  ) {
    super(message);
  }
}

/**
 * A session cookie that is no longer valid. The answer removes the cookie, because no request that carries it
 * can succeed.
 */
export class StaleCookieError extends UnauthenticatedError {}

/** The server does not let this address sign up. */
export class SignUpRefusedError extends DomainError {
  constructor(
    readonly code: 'SIGN_UP_CLOSED' | 'INVITATION_REQUIRED',
    message: string,
  ) {
    super(message);
  }
}

/** More requests than a product promises, or than this server accepts. */
export class RateLimitedError extends DomainError {
  readonly code = 'RATE_LIMITED';
  constructor(
    message: string,
    readonly retryAfterSeconds: number,
    readonly productCode: string | null = null,
  ) {
    super(message);
  }
}

/**
 * A service that the request needs, by default the database, cannot be reached. A retry is safe with an
 * idempotency key.
 */
export class UnavailableError extends DomainError {
  readonly code = 'SERVICE_UNAVAILABLE';
  /** The duration of an outage is unknown; one retry a second does no harm. */
  readonly retryAfterSeconds = 1;
  constructor(message = 'The database cannot be reached. Try again in a moment.', options?: ErrorOptions) {
    super(message, options);
  }
}

/** A query took too long and was stopped. It changed nothing, because queries only read. */
export class QueryTimeoutError extends DomainError {
  readonly code = 'QUERY_TIMEOUT';
  constructor(readonly limitMs: number) {
    super(
      `The query was stopped after ${limitMs / 1_000} seconds. Request smaller pages, fewer fields or a shorter time range, or send several queries.`,
    );
  }
}

/** Another request with the same idempotency key is still running. This request changed nothing. */
export class KeyInUseError extends DomainError {
  readonly code = 'IDEMPOTENCY_KEY_IN_USE';
  readonly retryAfterSeconds = 1;
  constructor() {
    super('Another request with this Idempotency-Key is still running. Try again in a moment.');
  }
}

/** The idempotency key was used for a different request. This request changed nothing. */
export class KeyReusedError extends DomainError {
  readonly code = 'IDEMPOTENCY_KEY_REUSED';
}

/** A replay asks for a secret that was shown once and was not kept. */
export class SecretUnavailableError extends DomainError {
  readonly code = 'SECRET_UNAVAILABLE';
  constructor(
    /** The id of the record that the secret belongs to. */
    readonly subjectId: string,
  ) {
    super(
      `The first request with this Idempotency-Key succeeded and created ${subjectId}. Its secret was shown once and cannot be shown again: it is kept only if the key is a random UUID. Create another one.`,
    );
  }
}
