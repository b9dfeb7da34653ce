import { DomainError } from '../errors.js';

/** Another request under the same idempotency key has not ended yet. Nothing was done for this one. */
export class KeyInUseError extends DomainError {
  readonly code = 'IDEMPOTENCY_KEY_IN_USE';
  readonly status = 409;
  readonly retryAfterSeconds = 1;
  constructor() {
    super('Another request under this Idempotency-Key is still running. Ask again in a moment.');
  }
}

/** The idempotency key was used for something that this request does not repeat. Nothing was done. */
export class KeyReusedError extends DomainError {
  readonly code = 'IDEMPOTENCY_KEY_REUSED';
  readonly status = 422;
}

/** A repetition asks for a secret that was shown once and cannot be shown again. */
export class SecretUnavailableError extends DomainError {
  readonly code = 'SECRET_UNAVAILABLE';
  readonly status = 410;
  constructor(
    /** The id of what the secret belongs to. */
    readonly subjectId: string,
  ) {
    super(
      `What you asked for was done, and made ${subjectId}. Its secret was shown once and is not available any more: only under an Idempotency-Key that is a random UUID is it kept. Make another one.`,
    );
  }
}
