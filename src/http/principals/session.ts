import { hkdfSync } from 'node:crypto';
import { prismaAdapter } from 'better-auth/adapters/prisma';
import { APIError } from 'better-auth/api';
import { betterAuth } from 'better-auth/minimal';
import { bearer } from 'better-auth/plugins/bearer';
import type { Logger } from 'pino';
import { type IdKind, newId } from '../../db/ids.js';
import { parseName } from '../../domain/access/input.js';
import type { Deps } from '../../domain/deps.js';
import { ensurePersonalWorkspace } from '../../domain/workspaces/personal.js';
import { UnavailableError, ValidationError } from '../../errors.js';
import type { Origins } from '../origins.js';

/** Where sign-up, sign-in and the rest of better-auth answer. */
export const authPath = '/api/auth';

/** Set by this server on what it hands to better-auth, from the connection itself; what a client sends under this name is dropped. */
export const addressHeader = 'x-tollkeeper-address';

export interface SignedInUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
}

export interface Sessions {
  /** Answers everything under {@link authPath}. Throws what it did not expect. */
  readonly handle: (request: Request) => Promise<Response>;
  readonly cookieName: string;
  /** Whose session a bearer token is, or null. */
  findByToken(token: string): Promise<SignedInUser | null>;
  /** Whose session a cookie is, or null; with the cookies that prolong it. */
  findByCookie(cookie: string): Promise<{ user: SignedInUser; setCookies: readonly string[] } | null>;
  /** The `set-cookie` that removes a session's cookie. */
  readonly expiredCookie: string;
}

export interface SessionsOptions {
  readonly deps: Pick<Deps, 'db' | 'log'>;
  /** 32 bytes. The secret that signs cookies is derived from it, so that an operator keeps one key. */
  readonly encryptionKey: Uint8Array;
  readonly publicUrl: string;
  readonly origins: Origins;
  /** better-auth's scrypt unless told. */
  readonly passwordHashing?: PasswordHashing | undefined;
}

/** How passwords are kept. Meant to be slow, which tests that sign up hundreds of people cannot afford. */
export interface PasswordHashing {
  hash(password: string): Promise<string>;
  verify(stored: { hash: string; password: string }): Promise<boolean>;
}

/** What stays closed: links in e-mails that this server does not send, and other people's sign-in. Outside identities come as tokens. */
const disabledPaths = [
  '/sign-in/social',
  '/link-social',
  '/unlink-account',
  '/refresh-token',
  '/get-access-token',
  '/account-info',
  '/request-password-reset',
  '/reset-password',
  '/send-verification-email',
  '/verify-email',
  '/change-email',
  '/delete-user',
  '/delete-user/callback',
  '/error',
  '/ok',
];

const idKinds: Readonly<Record<string, IdKind>> = {
  user: 'user',
  session: 'authSession',
  authSession: 'authSession',
  account: 'authAccount',
  authAccount: 'authAccount',
  verification: 'authVerification',
  authVerification: 'authVerification',
};

/** People with a password, and their sessions: better-auth on this server's own tables. It calls nobody. */
export function createSessions({
  deps,
  encryptionKey,
  publicUrl,
  origins,
  passwordHashing,
}: SessionsOptions): Sessions {
  const secret = Buffer.from(hkdfSync('sha256', encryptionKey, '', 'tollkeeper sessions', 32)).toString('base64url');
  const isSecure = new URL(publicUrl).protocol === 'https:';

  const auth = betterAuth({
    appName: 'Tollkeeper',
    baseURL: new URL(publicUrl).origin,
    basePath: authPath,
    // A list, since better-auth would otherwise prefer one of its own in the environment.
    secrets: [{ version: 1, value: secret }],
    trustedOrigins: [...origins.all],
    database: prismaAdapter(deps.db, { provider: 'postgresql' }),
    session: { modelName: 'authSession' },
    account: { modelName: 'authAccount', accountLinking: { enabled: false } },
    verification: { modelName: 'authVerification' },
    emailAndPassword: { enabled: true, ...(passwordHashing && { password: passwordHashing }) },
    plugins: [bearer()],
    disabledPaths,
    // The server's own limiter counts sign-ins; this one keeps its windows in a map that nothing else sees.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'warn', log: (level, message, ...details) => forward(deps.log, level, message, details) },
    onAPIError: { throw: true },
    advanced: {
      cookiePrefix: 'tollkeeper',
      useSecureCookies: isSecure,
      // Said outright, since better-auth switches both checks off where it believes to be tested.
      disableCSRFCheck: false,
      disableOriginCheck: false,
      ipAddress: { ipAddressHeaders: [addressHeader] },
      database: { generateId: ({ model }) => newId(idKinds[model] ?? unknownModel(model)) },
    },
    databaseHooks: {
      user: {
        create: {
          before: async (user) => ({ data: { ...user, name: checkProfile(user).name ?? '' } }),
          after: async (user) => ensurePersonalWorkspace(deps, { id: user.id, name: user.name }),
        },
        update: { before: async (changes) => ({ data: { ...changes, ...checkProfile(changes) } }) },
      },
    },
  });

  async function findSession(headers: { authorization: string } | { cookie: string }) {
    try {
      const found = await auth.api.getSession({ headers: new Headers(headers), returnHeaders: true });
      return found.response && { user: found.response.user, setCookies: found.headers.getSetCookie() };
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      // The session ended while it was looked at.
      if (error.statusCode < 500) return null;
      // better-auth has logged what it was, and a look-up has one way to fail.
      throw new UnavailableError();
    }
  }

  const cookieName = `${isSecure ? '__Secure-' : ''}tollkeeper.session_token`;
  return {
    handle: auth.handler,
    cookieName,
    async findByToken(token) {
      return (await findSession({ authorization: `Bearer ${token}` }))?.user ?? null;
    },
    findByCookie: (cookie) => findSession({ cookie }),
    expiredCookie: `${cookieName}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`,
  };
}

function unknownModel(model: string): never {
  throw new Error(`better-auth asks for an id of a model that this server does not have: ${model}`);
}

const imageLengthMax = 2_000;

/** The rules that names and pictures keep everywhere else on this server. */
function checkProfile({ name, image }: { name?: unknown; image?: unknown }): { name?: string } {
  if (image !== undefined && image !== null && !isImage(image)) {
    throw badRequest('image', `A picture is an https address of at most ${imageLengthMax} characters.`);
  }
  if (name === undefined) return {};
  try {
    return { name: parseName('name', typeof name === 'string' ? name : '') };
  } catch (error) {
    if (error instanceof ValidationError) throw badRequest(error.field, error.message);
    throw error;
  }
}

function isImage(image: unknown): boolean {
  return typeof image === 'string' && image.length <= imageLengthMax && /^https:\/\/[\x21-\x7e]+$/.test(image);
}

function badRequest(field: string, message: string): APIError {
  return new APIError('BAD_REQUEST', { code: 'BAD_USER_INPUT', message, field });
}

/** better-auth's own words, and of its details the errors alone: the rest may quote a request. */
function forward(log: Logger, level: 'debug' | 'info' | 'warn' | 'error', message: string, details: unknown[]): void {
  const err = details.find((detail) => detail instanceof Error);
  log[level](err === undefined ? {} : { err }, `better-auth: ${message}`);
}
