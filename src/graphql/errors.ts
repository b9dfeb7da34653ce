import {
  ConflictError,
  type DomainError,
  ForbiddenError,
  LimitReachedError,
  NotFoundError,
  SecretUnavailableError,
  ValidationError,
} from '../errors.js';
import { builder } from './builder.js';

const ErrorCode = builder.enumType('ErrorCode', {
  description: 'Machine-readable reason of an expected failure.',
  values: {
    BAD_USER_INPUT: { description: 'An input value is invalid. The error names the field.' },
    NOT_FOUND: { description: 'The object does not exist or is not visible to the caller.' },
    FORBIDDEN: { description: 'The caller lacks a permission.' },
    CONFLICT: { description: 'The current state of the object does not allow the operation.' },
    LIMIT_REACHED: { description: 'A limit is reached.' },
    SECRET_UNAVAILABLE: { description: 'A secret that was shown once cannot be shown again.' },
  } as const,
});

const ErrorInterface = builder.interfaceRef<DomainError>('Error').implement({
  description: 'An expected failure. Nothing was written.',
  fields: (t) => ({
    code: t.field({
      type: ErrorCode,
      description: 'Machine-readable reason.',
      resolve: ({ code }) => code as typeof ErrorCode.$inferType,
    }),
    message: t.exposeString('message', { description: 'Human-readable reason, and what to do about it.' }),
  }),
});

builder.objectType(ValidationError, {
  name: 'ValidationError',
  description: 'An input value is invalid.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    field: t.exposeString('field', { description: 'Path of the invalid input, such as `input.name`.' }),
  }),
});

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'The object does not exist or is not visible to the caller. The two cases look the same.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    field: t.exposeString('field', {
      description: 'Path of the input that names the object, such as `input.apiKeyId`.',
    }),
  }),
});

builder.objectType(ForbiddenError, {
  name: 'ForbiddenError',
  description: 'The object is visible to the caller, but the caller may not perform the operation.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    permission: t.exposeString('permission', { description: 'The missing permission, such as `apiKey:revoke`.' }),
  }),
});

builder.objectType(ConflictError, {
  name: 'ConflictError',
  description: 'The current state of the object does not allow the operation.',
  interfaces: [ErrorInterface],
});

builder.objectType(LimitReachedError, {
  name: 'LimitReachedError',
  description: 'A limit is reached.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'The maximum.' }),
  }),
});

builder.objectType(SecretUnavailableError, {
  name: 'SecretUnavailableError',
  description:
    'The operation that is repeated under an `Idempotency-Key` was performed, but its secret was shown once and cannot be shown again. Secrets can be shown again only under keys that are random UUIDs.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    subjectId: t.exposeID('subjectId', { description: 'Id of the object to which the secret belongs.' }),
  }),
});
