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
  description: 'Why something that was asked for was not done.',
  values: {
    BAD_USER_INPUT: { description: 'An input cannot be accepted. The error names the field.' },
    NOT_FOUND: { description: 'What was named does not exist, or may not be seen.' },
    FORBIDDEN: { description: 'A permission is missing.' },
    CONFLICT: { description: 'The present state does not allow it.' },
    LIMIT_REACHED: { description: 'A limit is reached.' },
    SECRET_UNAVAILABLE: { description: 'A secret that was shown once cannot be shown again.' },
  } as const,
});

const ErrorInterface = builder.interfaceRef<DomainError>('Error').implement({
  description: 'An expected failure. Nothing was written.',
  fields: (t) => ({
    code: t.field({
      type: ErrorCode,
      description: 'Why, for programs.',
      resolve: ({ code }) => code as typeof ErrorCode.$inferType,
    }),
    message: t.exposeString('message', { description: 'Why and what to do, for people.' }),
  }),
});

builder.objectType(ValidationError, {
  name: 'ValidationError',
  description: 'An input that cannot be accepted.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    field: t.exposeString('field', { description: 'The path of the input, such as `input.name`.' }),
  }),
});

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'What was named does not exist, or may not be seen by whoever asks. The two look the same.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    field: t.exposeString('field', { description: 'The path of the input that names it, such as `input.apiKeyId`.' }),
  }),
});

builder.objectType(ForbiddenError, {
  name: 'ForbiddenError',
  description: 'Whoever asks sees the thing, but may not do this to it.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    permission: t.exposeString('permission', { description: 'The permission that is missing.' }),
  }),
});

builder.objectType(ConflictError, {
  name: 'ConflictError',
  description: 'The present state does not allow it.',
  interfaces: [ErrorInterface],
});

builder.objectType(LimitReachedError, {
  name: 'LimitReachedError',
  description: 'A limit is reached.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'The most that there can be.' }),
  }),
});

builder.objectType(SecretUnavailableError, {
  name: 'SecretUnavailableError',
  description:
    'What is repeated under an `Idempotency-Key` was done, but its secret was shown once and cannot be shown again. It is kept for keys that are random UUIDs.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    subjectId: t.exposeID('subjectId', { description: 'The id of what was made, to which the secret belongs.' }),
  }),
});
