import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartError } from '../errors.js';
import { codeOf } from './error-codes.js';

/** How long the start waits for a PostgreSQL that starts at the same time. */
const waitMsDefault = 8_000;
const pauseMs = 500;

/** Limits of one try, for connecting and for the answer; the last try has the shortest. */
const tryTimeoutMs = 5_000;
const lastTryTimeoutMs = 2_000;

/** Failures that pass while PostgreSQL starts, or its name appears in DNS. */
const transientCodes = new Set(['57P03', 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN']);

/**
 * Checks that PostgreSQL answers.
 * @throws StartError after at most ten seconds. It names host, port, user and database, never the password.
 */
export async function reachPostgresql(config: pg.ClientConfig, waitMs = waitMsDefault): Promise<void> {
  const giveUpAt = Date.now() + waitMs;
  for (;;) {
    const timeoutMs = Math.min(tryTimeoutMs, Math.max(giveUpAt - Date.now(), 0) + lastTryTimeoutMs);
    const { target, failure } = await tryToConnect({
      ...config,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    });
    if (failure === null) return;
    if (!transientCodes.has(findReason(failure)) || Date.now() + pauseMs > giveUpAt) throw explain(failure, target);
    await sleep(pauseMs);
  }
}

interface Target {
  host: string;
  port: number;
  user: string;
  database: string;
}

async function tryToConnect(config: pg.ClientConfig): Promise<{ target: Target; failure: Error | null }> {
  let client: pg.Client;
  try {
    client = new pg.Client(config);
  } catch {
    // The parser's message repeats the address, and with it the password.
    throw new StartError(
      'DATABASE_URL cannot be read as an address. Write it as postgresql://user:password@host:5432/database, with special characters of the password percent-encoded.',
    );
  }
  const target = {
    host: client.host,
    port: client.port,
    user: client.user ?? '(none)',
    database: client.database ?? '(none)',
  };
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return { target, failure: null };
  } catch (error) {
    return { target, failure: error instanceof Error ? error : new Error(String(error)) };
  } finally {
    // A connection that was never established cannot be closed properly.
    await client.end().catch(() => undefined);
  }
}

function explain(failure: Error, { host, port, user, database }: Target): StartError {
  const at = `${host}:${port}`;
  const because = (text: string) => new StartError(text, { cause: failure });
  switch (findReason(failure)) {
    case '28P01':
    case '28000':
    case 'NO_PASSWORD':
      return because(
        `PostgreSQL at ${at} refuses the user "${user}" for the database "${database}". Check the user and the password in DATABASE_URL, and the server's pg_hba.conf.`,
      );
    case '3D000':
      return because(
        `PostgreSQL at ${at} has no database "${database}". Create it (createdb -h ${host} -p ${port} ${database}), or name another one in DATABASE_URL.`,
      );
    case '53300':
      return because(
        `PostgreSQL at ${at} has no connection left for the database "${database}". Raise its max_connections, or close other connections.`,
      );
    case '42501':
      return because(
        `The user "${user}" may not connect to the database "${database}" of PostgreSQL at ${at}. Grant it CONNECT, or use another user in DATABASE_URL.`,
      );
    case 'TLS':
      return because(
        `PostgreSQL at ${at} and this server do not agree on TLS (${reasonOf(failure)}). Set sslmode in DATABASE_URL to what the server supports: verify-full, or disable on a private network.`,
      );
    default:
      return because(
        `PostgreSQL cannot be reached at ${at} for the database "${database}" (${reasonOf(failure)}). Check that it runs there and that DATABASE_URL names the right host and port.`,
      );
  }
}

/** Node's and OpenSSL's codes of a certificate or a handshake that was refused. */
const tlsCodes = /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|EPROTO$)/;

/** The SQLSTATE of PostgreSQL, or Node's code. Two failures of pg have no code, only a message. */
function findReason(failure: Error): string {
  const code = codeOf(failure);
  if (tlsCodes.test(code)) return 'TLS';
  if (code !== '') return code;
  if (/\bSSL\b/.test(failure.message)) return 'TLS';
  return /password must be a string/.test(failure.message) ? 'NO_PASSWORD' : '';
}

function reasonOf(failure: Error): string {
  // An AggregateError, one failure per address of the host, has no message of its own.
  return failure.message || codeOf(failure) || failure.name;
}
