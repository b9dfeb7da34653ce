import { setTimeout as sleep } from 'node:timers/promises';
import type { Deps } from '../domain/deps.js';

export const livePath = '/health/live';
export const readyPath = '/health/ready';

/** Whoever asks asks again; a database that is slower than this is not ready. */
const databaseWaitMs = 2_000;

/** Whether the process runs: true as long as it can answer. */
export function answerLive(): Response {
  return Response.json({ status: 'live' });
}

/** Whether requests should be sent here: the database answers, and the server is not closing. */
export async function answerReady({ db, log }: Pick<Deps, 'db' | 'log'>, isClosing: boolean): Promise<Response> {
  if (isClosing) return Response.json({ status: 'closing' }, { status: 503 });
  const waiting = new AbortController();
  try {
    const answered = await Promise.race([
      db.$queryRaw`SELECT 1`.then(() => true),
      sleep(databaseWaitMs, false, { signal: waiting.signal }),
    ]);
    if (!answered) throw new Error(`The database did not answer within ${databaseWaitMs} ms.`);
    return Response.json({ status: 'ready' });
  } catch (error) {
    log.warn({ err: error }, 'The database cannot be reached.');
    return Response.json({ status: 'database unreachable' }, { status: 503 });
  } finally {
    waiting.abort();
  }
}
