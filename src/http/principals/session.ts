import { hkdfSync } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { prismaAdapter } from 'better-auth/adapters/prisma';
import { APIError } from 'better-auth/api';
import { betterAuth } from 'better-auth/minimal';
import { toNodeHandler } from 'better-auth/node';
import { bearer } from 'better-auth/plugins/bearer';
import type { Logger } from 'pino';
import { type IdKind, newId } from '../../db/ids.js';
import { isUniqueViolation } from '../../db/transaction.js';
import { parseName } from '../../domain/access/input.js';
import type { SignedInUser } from '../../domain/identity/external-users.js';
import { passwordLengthMax, passwordLengthMin } from '../../domain/identity/password.js';
import { ensurePersonalWorkspace } from '../../domain/workspaces/personal.js';
import { UnavailableError, ValidationError } from '../../errors.js';
import type { Services } from '../../graphql/services.js';
import type { Origins } from '../origins.js';
import { hashSessionTokens } from './hashed-sessions.js';
import { type PasswordHashing, queuePasswordHashing, scryptHashing } from './password-hashing.js';
import { endSessions, sessionEndpoints } from './session-endpoints.js';

/** The path of sign-up, sign-in and the other routes of better-auth. */
export const authPath = '/api/auth';

/**
 * The client's address for better-auth, set by this server from the connection. A header of this name that a
 * client sends is dropped.
 */
export const addressHeader = 'x-tollkeeper-address';

export interface Sessions {
  /** Answers requests under {@link authPath}. Rejects for unexpected errors. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly cookieName: string;
  /** The user of the session that a request to {@link handle} would have, or null. */
  findByHeaders(headers: IncomingHttpHeaders): Promise<SignedInUser | null>;
  /** The user of a session token, or null. */
  findByToken(token: string): Promise<SignedInUser | null>;
  /** The user of a session cookie, with the cookies that renew it, or null. */
  findByCookie(cookie: string): Promise<{ user: SignedInUser; setCookies: readonly string[] } | null>;
  /** The `set-cookie` that removes a session's cookie. */
  readonly expiredCookie: string;
}

export interface SessionsOptions {
  readonly services: Pick<Services, 'db' | 'log'>;
  /** 32 bytes. The secret that signs cookies is derived from it, so that an operator keeps one key. */
  readonly encryptionKey: Uint8Array;
  readonly publicUrl: string;
  readonly origins: Origins;
  /** Default: scrypt of better-auth. */
  readonly passwordHashing?: PasswordHashing | undefined;
}

const idKinds: Readonly<Record<string, IdKind>> = {
  user: 'user',
  session: 'authSession',
  authSession: 'authSession',
  account: 'authAccount',
  authAccount: 'authAccount',
  verification: 'authVerification',
  authVerification: 'authVerification',
};

/**
 * Users with a password, and their sessions: better-auth on this server's tables. It makes no outgoing
 * requests.
 */
export function createSessions({
  services,
  encryptionKey,
  publicUrl,
  origins,
  passwordHashing = scryptHashing,
}: SessionsOptions): Sessions {
  const secret = Buffer.from(hkdfSync('sha256', encryptionKey, '', 'tollkeeper sessions', 32)).toString('base64url');
  const isSecure = new URL(publicUrl).protocol === 'https:';

  const auth = betterAuth({
    appName: 'Tollkeeper',
    baseURL: new URL(publicUrl).origin,
    basePath: authPath,
    // A list, because better-auth would prefer a single secret from the environment.
    secrets: [{ version: 1, value: secret }],
    trustedOrigins: [...origins.all],
    database: hashSessionTokens(prismaAdapter(services.db, { provider: 'postgresql' })),
    session: { modelName: 'authSession' },
    account: { modelName: 'authAccount', accountLinking: { enabled: false } },
    verification: { modelName: 'authVerification' },
    emailAndPassword: {
      enabled: true,
      password: queuePasswordHashing(passwordHashing),
      // requireAcceptablePassword counts characters, better-auth their UTF-16 units.
      minPasswordLength: passwordLengthMin,
      maxPasswordLength: 2 * passwordLengthMax,
    },
    plugins: [bearer(), sessionEndpoints(services.db)],
    // The auth route decides which endpoints there are, and limits attempts by the server's limiter, which
    // processes share.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'warn', log: (level, message, ...details) => forward(services.log, level, message, details) },
    onAPIError: { throw: true },
    advanced: {
      cookiePrefix: 'tollkeeper',
      useSecureCookies: isSecure,
      // Explicit, because better-auth disables both checks where it detects a test.
      disableCSRFCheck: false,
      disableOriginCheck: false,
      ipAddress: { ipAddressHeaders: [addressHeader] },
      database: { generateId: ({ model }) => newId(idKinds[model] ?? unknownModel(model)) },
    },
    databaseHooks: {
      user: {
        create: {
          before: async (user) => ({ data: { ...user, name: checkProfile(user).name ?? '' } }),
          after: async (user) => ensurePersonalWorkspace(services.db, { id: user.id, name: user.name }),
        },
        update: { before: async (changes) => ({ data: { ...changes, ...checkProfile(changes) } }) },
      },
      account: {
        update: {
          // The only change of an account is that of its password.
          after: async ({ userId }, ctx) => endSessions(services.db, userId, ctx?.context.session?.session.id),
        },
      },
    },
  });

  async function findSession({ authorization, cookie }: Pick<IncomingHttpHeaders, 'authorization' | 'cookie'>) {
    try {
      const headers = new Headers({ ...(authorization && { authorization }), ...(cookie && { cookie }) });
      const found = await auth.api.getSession({ headers, returnHeaders: true });
      return found.response && { user: found.response.user, setCookies: found.headers.getSetCookie() };
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      // The session ended while it was read.
      if (error.statusCode < 500) return null;
      // better-auth has logged the cause.
      throw new UnavailableError();
    }
  }

  const cookieName = `${isSecure ? '__Secure-' : ''}tollkeeper.session_token`;
  return {
    handle: toNodeHandler(auth),
    cookieName,
    async findByHeaders(headers) {
      return (await findSession(headers))?.user ?? null;
    },
    async findByToken(token) {
      return (await findSession({ authorization: `Bearer ${token}` }))?.user ?? null;
    },
    findByCookie: (cookie) => findSession({ cookie }),
    expiredCookie: `${cookieName}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`,
  };
}

function unknownModel(model: string): never {
  throw new Error(`better-auth requests an id of an unknown model: ${model}`);
}

const imageLengthMax = 2_000;

/** The same rules for names and pictures as in the rest of this server. */
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

/**
 * Logs messages of better-auth. Of the details, only errors: the others can quote a request. An error without
 * one is about a request, such as an unknown origin, and so is a second sign-up with one address: any client
 * can cause them, so they are no errors of this server.
 */
function forward(log: Logger, level: 'debug' | 'info' | 'warn' | 'error', message: string, details: unknown[]): void {
  const err = [message, ...details].find((detail: unknown) => detail instanceof Error);
  const isOfClient = err === undefined || isUniqueViolation(err);
  log[level === 'error' && isOfClient ? 'warn' : level](err === undefined ? {} : { err }, `better-auth: ${message}`);
}
