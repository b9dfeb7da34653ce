import type { BetterAuthPlugin } from 'better-auth';
import { createAuthEndpoint, createAuthMiddleware, sensitiveSessionMiddleware } from 'better-auth/api';
import { z } from 'zod';
import type { Db } from '../../db/transaction.js';
import { NotFoundError } from '../../errors.js';

/** A session as its user sees it. Never its token: a reader of the response could use it. */
const shown = {
  id: true,
  userId: true,
  createdAt: true,
  updatedAt: true,
  expiresAt: true,
  ipAddress: true,
  userAgent: true,
};

/**
 * A plugin of better-auth that replaces the endpoints which would return session tokens, or take one to
 * name a session. Sessions are named by their id.
 */
export function sessionEndpoints(db: Db) {
  return {
    id: 'tollkeeper-sessions',
    endpoints: {
      listSessions: createAuthEndpoint(
        '/list-sessions',
        { method: 'GET', use: [sensitiveSessionMiddleware], requireHeaders: true },
        async (ctx) => {
          const { session, user } = ctx.context.session;
          const sessions = await db.authSession.findMany({
            where: { userId: user.id, expiresAt: { gt: new Date() } },
            select: shown,
            orderBy: { createdAt: 'desc' },
            take: sessionsMax,
          });
          return ctx.json(sessions.map((each) => ({ ...each, current: each.id === session.id })));
        },
      ),
      revokeSession: createAuthEndpoint(
        '/revoke-session',
        {
          method: 'POST',
          body: z.object({ id: z.string() }),
          use: [sensitiveSessionMiddleware],
          requireHeaders: true,
        },
        async (ctx) => {
          const { count } = await db.authSession.deleteMany({
            where: { id: ctx.body.id, userId: ctx.context.session.user.id },
          });
          if (count === 0) throw new NotFoundError('id', 'You have no session with this id.');
          return ctx.json({ status: true });
        },
      ),
      revokeOtherSessions: createAuthEndpoint(
        '/revoke-other-sessions',
        { method: 'POST', use: [sensitiveSessionMiddleware], requireHeaders: true },
        async (ctx) => {
          const { session, user } = ctx.context.session;
          await endSessions(db, user.id, session.id);
          return ctx.json({ status: true });
        },
      ),
    },
    hooks: {
      after: [
        {
          matcher: ({ path }) => path === '/get-session',
          handler: createAuthMiddleware(async (ctx) => {
            const found = ctx.context.returned;
            if (!hasSession(found)) return undefined;
            const { token: _token, ...session } = found.session;
            return ctx.json({ ...found, session });
          }),
        },
      ],
    },
  } satisfies BetterAuthPlugin;
}

const sessionsMax = 100;

/** Ends all sessions of a user but one. */
export async function endSessions(db: Db, userId: string, exceptId: string | undefined): Promise<void> {
  await db.authSession.deleteMany({ where: { userId, ...(exceptId !== undefined && { NOT: { id: exceptId } }) } });
}

function hasSession(value: unknown): value is { readonly session: { readonly token?: unknown } } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'session' in value &&
    typeof value.session === 'object' &&
    value.session !== null
  );
}
