import { z } from 'zod';
import { parseEmail, parseName } from '../domain/access/input.js';
import { requireAcceptablePassword } from '../domain/identity/password.js';
import { ValidationError } from '../errors.js';

/** A body after its fields were checked. Only its declared fields are passed on to better-auth. */
export type AuthBody = Readonly<Record<string, unknown>>;

/**
 * What a caller can guess or exhaust with an endpoint, and therefore what limits it: hashing a password takes
 * about 100 ms.
 */
export type AttemptKind = 'signUp' | 'signIn' | 'changePassword';

/** One endpoint below `/api/auth`. */
export interface AuthEndpoint {
  /** Null: the endpoint has no limit of its own. */
  readonly attempt: AttemptKind | null;
  /**
   * Checks the parsed JSON of a request.
   * @returns what better-auth receives; undefined: no body
   * @throws ValidationError that names the field
   */
  readonly readBody: (json: unknown) => AuthBody | undefined;
}

/** Longer than any address and password, so that a wrong one is refused by its own rule. */
const text = z.string().max(2_100);
const flag = z.boolean().optional();

const signUpBody = z.object({
  name: text,
  email: text,
  password: text,
  image: text.nullish(),
  rememberMe: flag,
});
const signInBody = z.object({ email: text, password: text, rememberMe: flag });
const changePasswordBody = z.object({ currentPassword: text, newPassword: text, revokeOtherSessions: flag });
const updateUserBody = z.object({ name: text.optional(), image: text.nullish() });
const revokeSessionBody = z.object({ id: text });

/**
 * All endpoints, by method and path below `/api/auth`: those of docs/authentication.md. better-auth has more,
 * and new versions of it add some. All others are 404.
 */
export const authEndpoints: ReadonlyMap<string, AuthEndpoint> = new Map<string, AuthEndpoint>([
  [
    'POST /sign-up/email',
    {
      attempt: 'signUp',
      readBody(json) {
        const body = parse(signUpBody, json);
        const email = parseEmail('email', body.email);
        parseName('name', body.name);
        requireAcceptablePassword('password', body.password);
        return { ...body, email };
      },
    },
  ],
  ['POST /sign-in/email', { attempt: 'signIn', readBody: (json) => parse(signInBody, json) }],
  [
    'POST /change-password',
    {
      attempt: 'changePassword',
      readBody(json) {
        const body = parse(changePasswordBody, json);
        requireAcceptablePassword('newPassword', body.newPassword);
        return body;
      },
    },
  ],
  ['GET /get-session', withoutBody()],
  ['POST /sign-out', withoutBody()],
  ['POST /update-user', { attempt: null, readBody: (json) => parse(updateUserBody, json) }],
  ['GET /list-sessions', withoutBody()],
  ['POST /revoke-session', { attempt: null, readBody: (json) => parse(revokeSessionBody, json) }],
  ['POST /revoke-other-sessions', withoutBody()],
]);

/** A body is accepted, because clients send `{}`, and not passed on. */
function withoutBody(): AuthEndpoint {
  return { attempt: null, readBody: () => undefined };
}

/** @throws ValidationError for the first invalid field */
function parse<Shape extends z.ZodObject>(shape: Shape, json: unknown): z.infer<Shape> {
  const parsed = shape.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.');
  if (issue === undefined || field === undefined || field === '') {
    throw new ValidationError('body', 'The body must be a JSON object.');
  }
  throw new ValidationError(field, `The value of ${field} is missing, too long or of another type.`);
}
