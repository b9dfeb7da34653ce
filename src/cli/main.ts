#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { systemActor } from '../domain/audit.js';
import { systemClock } from '../domain/deps.js';
import { DomainError } from '../domain/errors.js';
import { createServiceToken, revokeServiceToken } from '../domain/service-tokens.js';
import { type Env, readEnv } from '../env.js';
import { createLog } from '../http/log.js';
import { openForUse } from '../open-for-use.js';
import { loadProducts } from '../products/load.js';
import { StartError } from '../start-error.js';
import { endWith } from '../start-failure.js';
import { verifyAudit } from './verify-audit.js';

const usage = `Usage: tollkeeper <command>

  migrate                        applies the migrations that the database lacks
  products check [name|path ...] checks product files; without any, those of TOLLKEEPER_PRODUCTS
  service-token create <name>    makes a service token and prints it, this once
  service-token list             lists the service tokens
  service-token revoke <id>      ends a service token
  audit verify [file]            follows the audit trail and prints where it ends; with a file, compares it
                                 with what an earlier run printed

It reads the same environment as the server. The embedded database can be opened by one process at a time.
`;

/** Whoever has a shell on the server's machine. */
const shell = { ...systemActor, requestId: 'cli' };

try {
  process.stdout.write(await run(process.argv.slice(2)));
} catch (error) {
  endWith(error instanceof DomainError ? new StartError(error.message) : error);
}

/** What an operator does from a shell. @returns what to print. */
async function run(args: string[]): Promise<string> {
  const { positionals } = parseArgs({ args, allowPositionals: true, options: {}, strict: false });
  const [command, action, ...rest] = positionals;
  const env = readEnv();
  switch ([command, action].filter(Boolean).join(' ')) {
    case 'migrate':
      return withDatabase({ ...env, migrate: true }, async () => 'The database is up to date.\n');
    case 'service-token create':
      return createToken(env, rest[0]);
    case 'service-token list':
      return listTokens(env);
    case 'service-token revoke':
      return revokeToken(env, rest[0]);
    case 'audit verify':
      return verifyAuditTrail(env, rest[0]);
    case 'products check':
      return checkProducts(rest.length > 0 ? rest : env.products);
    case '':
    case 'help':
      return usage;
    default:
      throw new StartError(`There is no such command.\n\n${usage}`);
  }
}

async function checkProducts(names: readonly string[]): Promise<string> {
  const { all } = await loadProducts(names);
  return `${all.map(({ slug, title }) => `${slug}: ${title}`).join('\n')}\n`;
}

async function withDatabase<T>(
  env: Env,
  work: (db: Awaited<ReturnType<typeof openForUse>>['db']) => Promise<T>,
): Promise<T> {
  const database = await openForUse(env, createLog({ level: 'warn' }));
  try {
    return await work(database.db);
  } finally {
    await database.close();
  }
}

function verifyAuditTrail(env: Env, notes: string | undefined): Promise<string> {
  return withDatabase(env, async (db) => {
    await verifyAudit(db, notes, (line) => process.stdout.write(line));
    return '';
  });
}

function createToken(env: Env, name: string | undefined): Promise<string> {
  if (name === undefined) throw new StartError('Give the token a name: tollkeeper service-token create <name>.');
  return withDatabase(env, async (db) => {
    const { serviceToken, token } = await createServiceToken(db, name, shell);
    return `${token}\n\nShown this once: store it now. Its id is ${serviceToken.id}.\n`;
  });
}

function listTokens(env: Env): Promise<string> {
  return withDatabase(env, async (db) => {
    const tokens = await db.serviceToken.findMany({ orderBy: { id: 'asc' } });
    return tokens
      .map(({ id, preview, createdAt, revokedAt, name }) =>
        [
          id,
          `…${preview}`,
          createdAt.toISOString(),
          revokedAt ? `revoked ${revokedAt.toISOString()}` : 'active',
          name,
        ].join('  '),
      )
      .concat('')
      .join('\n');
  });
}

function revokeToken(env: Env, id: string | undefined): Promise<string> {
  if (id === undefined) throw new StartError('Name the token by its id: tollkeeper service-token revoke <id>.');
  return withDatabase(env, async (db) => {
    await revokeServiceToken(db, systemClock, shell, id);
    return `${id} is revoked.\n`;
  });
}
