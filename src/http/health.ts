import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../graphql/services.js';
import { type Answer, answerJson } from './answer.js';

export const livePath = '/health/live';
export const readyPath = '/health/ready';

/** A database that is slower than this is not ready. Load balancers repeat their check. */
const databaseTimeoutMs = 2_000;

/** Whether the process runs: true as long as it can answer. */
export function answerLive(): Answer {
  return answerJson({ status: 'live' });
}

/** Whether requests should be sent to this process: the database answers, and the server is not closing. */
export async function answerReady({ db, log }: Pick<Services, 'db' | 'log'>, isClosing: boolean): Promise<Answer> {
  if (isClosing) return answerJson({ status: 'closing' }, 503);
  const waiting = new AbortController();
  try {
    const answered = await Promise.race([
      db.$queryRaw`SELECT 1`.then(() => true),
      sleep(databaseTimeoutMs, false, { signal: waiting.signal }),
    ]);
    if (!answered) throw new Error(`The database did not answer within ${databaseTimeoutMs} ms.`);
    return answerJson({ status: 'ready' });
  } catch (error) {
    log.warn({ err: error }, 'The database cannot be reached.');
    return answerJson({ status: 'database unreachable' }, 503);
  } finally {
    waiting.abort();
  }
}
