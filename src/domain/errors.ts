/** The codes of expected failures, in the words of the GraphQL ecosystem. */
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
  | 'IDEMPOTENCY_KEY_IN_USE'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'SECRET_UNAVAILABLE';

/** A failure that a caller can expect and act on. Whatever is not a DomainError is masked before it leaves the server. */
export abstract class DomainError extends Error {
  abstract readonly code: ErrorCode;
  /** The HTTP status where the failure ends the whole request. */
  abstract readonly status: number;
  override get name(): string {
    return this.constructor.name;
  }
}

/** An input that cannot be accepted. `field` is its path, such as `input.name`. */
export class ValidationError extends DomainError {
  readonly code = 'BAD_USER_INPUT';
  readonly status = 400;
  constructor(
    readonly field: string,
    message: string,
  ) {
    super(message);
  }
}

/** What was named does not exist, or the principal may not see it: the two look the same. */
export class NotFoundError extends DomainError {
  readonly code = 'NOT_FOUND';
  readonly status = 404;
  constructor(
    readonly field: string,
    message: string,
  ) {
    super(message);
  }
}

/** The principal sees the thing, but does not hold the permission. */
export class ForbiddenError extends DomainError {
  readonly code = 'FORBIDDEN';
  readonly status = 403;
  constructor(
    readonly permission: string,
    message = `This needs the permission ${permission}.`,
    /** The product's own word for it, where the product is known and has one. */
    readonly productCode: string | null = null,
  ) {
    super(message);
  }
}

/** The present state does not allow it. */
export class ConflictError extends DomainError {
  readonly code = 'CONFLICT';
  readonly status = 409;
}

/** A limit of the product or of this server is reached. */
export class LimitReachedError extends DomainError {
  readonly code = 'LIMIT_REACHED';
  readonly status = 409;
  constructor(
    readonly limit: number,
    message: string,
  ) {
    super(message);
  }
}

/** No credential where one is needed, or one that is wrong. `productCode` is the product's own word for it. */
export class UnauthenticatedError extends DomainError {
  readonly code = 'UNAUTHENTICATED';
  readonly status: number;
  constructor(
    message: string,
    readonly productCode: string | null = null,
    status = 401,
  ) {
    super(message);
    this.status = status;
  }
}

/** More requests than a product promises, or than this server takes. */
export class RateLimitedError extends DomainError {
  readonly code = 'RATE_LIMITED';
  readonly status = 429;
  constructor(
    message: string,
    readonly retryAfterSeconds: number,
    readonly productCode: string | null = null,
  ) {
    super(message);
  }
}

/** What is needed cannot be reached just now: the database unless it says otherwise. Nothing was done that was not acknowledged; asking again is safe with an idempotency key. */
export class UnavailableError extends DomainError {
  readonly code = 'SERVICE_UNAVAILABLE';
  readonly status = 503;
  /** Nobody knows when it is over; once a second, a client does no harm. */
  readonly retryAfterSeconds = 1;
  constructor(message = 'The database cannot be reached. Try again in a moment.', options?: ErrorOptions) {
    super(message, options);
  }
}
