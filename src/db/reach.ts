import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartError } from '../errors.js';

/** A PostgreSQL that starts beside this server gets this long to come up; then the operator is told. */
const patienceMsDefault = 8_000;
const pauseMs = 500;

/** How long one try may take to connect, and then to answer; the last try is the shortest. */
const tryTimeoutMs = 5_000;
const lastTryTimeoutMs = 2_000;

/** Server states and network failures that pass by themselves when both are started at once. */
const passingCodes = new Set(['57P03', 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN']);

/**
 * Makes sure, before anything is built on it, that PostgreSQL answers.
 * @throws StartError after ten seconds at most; it names host, port, user and database, never the password.
 */
export async function reachPostgresql(config: pg.ClientConfig, patienceMs = patienceMsDefault): Promise<void> {
  const giveUpAt = Date.now() + patienceMs;
  for (;;) {
    const timeoutMs = Math.min(tryTimeoutMs, Math.max(giveUpAt - Date.now(), 0) + lastTryTimeoutMs);
    const { place, failure } = await tryToConnect({
      ...config,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    });
    if (failure === null) return;
    if (!passingCodes.has(codeOf(failure)) || Date.now() + pauseMs > giveUpAt) throw explain(failure, place);
    await sleep(pauseMs);
  }
}

interface Place {
  host: string;
  port: number;
  user: string;
  database: string;
}

async function tryToConnect(config: pg.ClientConfig): Promise<{ place: Place; failure: Error | null }> {
  let client: pg.Client;
  try {
    client = new pg.Client(config);
  } catch {
    // What the parser says repeats the address, and with it the password.
    throw new StartError(
      'DATABASE_URL cannot be read as an address. Write it as postgresql://user:password@host:5432/database, with special characters of the password percent-encoded.',
    );
  }
  const place = {
    host: client.host,
    port: client.port,
    user: client.user ?? '(none)',
    database: client.database ?? '(none)',
  };
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return { place, failure: null };
  } catch (error) {
    return { place, failure: error instanceof Error ? error : new Error(String(error)) };
  } finally {
    // A connection that never came up has nothing to say goodbye to.
    await client.end().catch(() => undefined);
  }
}

function explain(failure: Error, { host, port, user, database }: Place): StartError {
  const at = `${host}:${port}`;
  const because = (text: string) => new StartError(text, { cause: failure });
  switch (codeOf(failure)) {
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
        `PostgreSQL at ${at} has no connection left for the database "${database}". Raise its max_connections, or end what holds them.`,
      );
    case '42501':
      return because(
        `The user "${user}" may not connect to the database "${database}" of PostgreSQL at ${at}. Grant it CONNECT, or use another user in DATABASE_URL.`,
      );
    case 'TLS':
      return because(
        `PostgreSQL at ${at} and this server do not agree on TLS (${reasonOf(failure)}). Set sslmode in DATABASE_URL to what that server offers: verify-full, or disable on a private network.`,
      );
    default:
      return because(
        `PostgreSQL cannot be reached at ${at} for the database "${database}" (${reasonOf(failure)}). Check that it runs there and that DATABASE_URL names the right host and port.`,
      );
  }
}

/** PostgreSQL's SQLSTATE or Node's word for a failed connection; what has neither is told by its message. */
function codeOf(failure: Error): string {
  if (/certificate|\bSSL\b|\bTLS\b/.test(failure.message)) return 'TLS';
  if (/password must be a string/.test(failure.message)) return 'NO_PASSWORD';
  return 'code' in failure && typeof failure.code === 'string' ? failure.code : '';
}

function reasonOf(failure: Error): string {
  // An AggregateError, one failure per address of the host, has no message of its own.
  return failure.message || codeOf(failure) || failure.name;
}
