import {
  type AuthenticationFailure as AuthenticationFailureShape,
  readFailures,
} from '../domain/identity/authentication-failures.js';
import { builder } from './builder.js';

const AuthenticationKind = builder.enumType('AuthenticationKind', {
  description: 'Kind of a refused credential.',
  values: {
    API_KEY: { description: 'An API key that called this API, or text of no other kind.' },
    SERVICE_TOKEN: { description: 'A service token.' },
    SESSION: { description: 'A session cookie.' },
    IDENTITY_TOKEN: { description: 'A token of the external identity provider.' },
    PASSWORD: { description: 'E-mail address and password.' },
    VERIFICATION: { description: 'A credential that a backend verified and that belongs to no key.' },
    MALFORMED: { description: 'Text that cannot be a credential.' },
  } as const,
});

const AuthenticationFailure = builder.objectRef<AuthenticationFailureShape>('AuthenticationFailure').implement({
  description: 'Number of refused credentials of one kind in one hour.',
  fields: (t) => ({
    hour: t.expose('hour', { type: 'DateTime', description: 'Start of the hour.' }),
    kind: t.expose('kind', { type: AuthenticationKind, description: 'Kind of the credentials.' }),
    failures: t.exposeFloat('failures', {
      description: 'Number of refused credentials. A whole number; it is a float because it can exceed an Int.',
    }),
  }),
});

builder.queryField('authenticationFailures', (t) =>
  t.field({
    type: [AuthenticationFailure],
    complexity: 1_000,
    description:
      'Refused credentials per hour and kind, oldest first. Hours and kinds without any are omitted. Delayed by a few seconds. For services.',
    authScopes: { permission: 'authentication:read' },
    args: {
      from: t.arg({ type: 'DateTime', required: true, description: 'Time in the first hour.' }),
      to: t.arg({
        type: 'DateTime',
        required: true,
        description: 'End of the range, later than `from` by at most seven days.',
      }),
    },
    resolve: (_root, range, { services }) => readFailures(services.db, range),
  }),
);
