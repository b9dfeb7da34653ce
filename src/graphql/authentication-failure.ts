import {
  type AuthenticationFailure as AuthenticationFailureShape,
  readFailures,
} from '../domain/identity/authentication-failures.js';
import { builder } from './builder.js';

const AuthenticationKind = builder.enumType('AuthenticationKind', {
  description: 'What a refused credential seemed to be.',
  values: {
    API_KEY: { description: 'A key that called this API, or a text that nothing else is.' },
    SERVICE_TOKEN: { description: 'A service token.' },
    SESSION: { description: 'The cookie of a session.' },
    IDENTITY_TOKEN: { description: 'A token of the outside identity provider.' },
    PASSWORD: { description: 'A person who tried to sign in.' },
    VERIFICATION: { description: 'A credential that a backend asked about, of which no key is known.' },
    MALFORMED: { description: 'What can be no credential at all.' },
  } as const,
});

const AuthenticationFailure = builder.objectRef<AuthenticationFailureShape>('AuthenticationFailure').implement({
  description: 'How many credentials of one kind were refused in one hour.',
  fields: (t) => ({
    hour: t.expose('hour', { type: 'DateTime', description: 'When the hour begins.' }),
    kind: t.expose('kind', { type: AuthenticationKind, description: 'What they seemed to be.' }),
    failures: t.exposeFloat('failures', {
      description: 'How many: a whole number. It is a float because it can exceed an Int.',
    }),
  }),
});

builder.queryField('authenticationFailures', (t) =>
  t.field({
    type: [AuthenticationFailure],
    complexity: 1_000,
    description:
      'How many credentials were refused, oldest first, a few seconds late. Hours and kinds without any are left out. For services.',
    authScopes: { permission: 'authentication:read' },
    args: {
      from: t.arg({ type: 'DateTime', required: true, description: 'The hour in which this falls is the first.' }),
      to: t.arg({ type: 'DateTime', required: true, description: 'Later than `from`, by at most seven days.' }),
    },
    resolve: (_root, range, { deps }) => readFailures(deps.db, range),
  }),
);
