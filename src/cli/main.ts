#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.js';
import { systemActor } from '../domain/audit/record.js';
import { createServiceToken, revokeServiceToken } from '../domain/identity/service-tokens.js';
import { DomainError, StartError } from '../errors.js';
import { createLog } from '../http/log.js';
import { loadProducts } from '../products/load.js';
import { openMigratedDatabase } from '../server/open-database.js';
import { endWith } from '../server/start-failure.js';
import { readSettings, type Settings } from '../settings.js';
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
  const settings = readSettings();
  switch ([command, action].filter(Boolean).join(' ')) {
    case 'migrate':
      return withDatabase({ ...settings, migrate: true }, async () => 'The database is up to date.\n');
    case 'service-token create':
      return createToken(settings, rest[0]);
    case 'service-token list':
      return listTokens(settings);
    case 'service-token revoke':
      return revokeToken(settings, rest[0]);
    case 'audit verify':
      return verifyAuditTrail(settings, rest[0]);
    case 'products check':
      return checkProducts(rest.length > 0 ? rest : settings.products);
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
  settings: Settings,
  work: (db: Awaited<ReturnType<typeof openMigratedDatabase>>['db']) => Promise<T>,
): Promise<T> {
  const database = await openMigratedDatabase(settings, createLog({ level: 'warn' }));
  try {
    return await work(database.db);
  } finally {
    await database.close();
  }
}

function verifyAuditTrail(settings: Settings, notes: string | undefined): Promise<string> {
  return withDatabase(settings, async (db) => {
    await verifyAudit(db, notes, (line) => process.stdout.write(line));
    return '';
  });
}

function createToken(settings: Settings, name: string | undefined): Promise<string> {
  if (name === undefined) throw new StartError('Give the token a name: tollkeeper service-token create <name>.');
  return withDatabase(settings, async (db) => {
    const { serviceToken, token } = await createServiceToken(db, name, shell);
    return `${token}\n\nShown this once: store it now. Its id is ${serviceToken.id}.\n`;
  });
}

function listTokens(settings: Settings): Promise<string> {
  return withDatabase(settings, async (db) => {
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

function revokeToken(settings: Settings, id: string | undefined): Promise<string> {
  if (id === undefined) throw new StartError('Name the token by its id: tollkeeper service-token revoke <id>.');
  return withDatabase(settings, async (db) => {
    await revokeServiceToken(db, systemClock, shell, id);
    return `${id} is revoked.\n`;
  });
}
