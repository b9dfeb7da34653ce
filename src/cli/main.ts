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

  migrate                        applies pending migrations
  products check [name|path ...] validates product files; default: those of TOLLKEEPER_PRODUCTS
  service-token create <name>    creates a service token and prints it, only once. It may do everything that a
                                 service may do, or with --permission <permission>, once or more, only this
  service-token list             lists the service tokens
  service-token revoke <id>      revokes a service token
  audit verify [file]            verifies the audit trail and prints the end of each chain; with a file, also
                                 compares with the output of an earlier run

It reads the same environment as the server. Only one process can open the embedded database: stop the server first.
`;

/** The actor in the audit trail for a person with a shell on the server's machine. */
const shell = { ...systemActor, requestId: 'cli' };

try {
  process.stdout.write(await run(process.argv.slice(2)));
} catch (error) {
  endWith(error instanceof DomainError ? new StartError(error.message) : error);
}

/** Runs one command. @returns the text to print. */
async function run(args: string[]): Promise<string> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { permission: { type: 'string', multiple: true } },
    strict: false,
  });
  const [command, action, ...rest] = positionals;
  const settings = readSettings();
  switch ([command, action].filter(Boolean).join(' ')) {
    case 'migrate':
      return withDatabase({ ...settings, migrate: true }, async () => 'The database is up to date.\n');
    case 'service-token create':
      return createToken(settings, rest[0], values.permission ?? []);
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
      throw new StartError(`Unknown command.\n\n${usage}`);
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

function verifyAuditTrail(settings: Settings, earlierOutput: string | undefined): Promise<string> {
  return withDatabase(settings, async (db) => {
    await verifyAudit(db, earlierOutput, (line) => process.stdout.write(line));
    return '';
  });
}

function createToken(
  settings: Settings,
  name: string | undefined,
  permissions: readonly (string | boolean)[],
): Promise<string> {
  if (name === undefined)
    throw new StartError('The name of the token is missing: tollkeeper service-token create <name>.');
  if (!permissions.every((permission) => typeof permission === 'string')) {
    throw new StartError('The permission is missing after --permission, such as --permission credits:grant.');
  }
  return withDatabase(settings, async (db) => {
    const { serviceToken, token } = await createServiceToken(db, name, { actor: shell, permissions });
    return `${token}\n\nThis token is shown only once: store it now. Its id is ${serviceToken.id}.\n`;
  });
}

function listTokens(settings: Settings): Promise<string> {
  return withDatabase(settings, async (db) => {
    const tokens = await db.serviceToken.findMany({ orderBy: { id: 'asc' } });
    return tokens
      .map(({ id, preview, createdAt, revokedAt, name, permissions }) =>
        [
          id,
          `…${preview}`,
          createdAt.toISOString(),
          revokedAt ? `revoked ${revokedAt.toISOString()}` : 'active',
          name,
          ...(permissions.length === 0 ? [] : [permissions.join(', ')]),
        ].join('  '),
      )
      .concat('')
      .join('\n');
  });
}

function revokeToken(settings: Settings, id: string | undefined): Promise<string> {
  if (id === undefined) throw new StartError('The id of the token is missing: tollkeeper service-token revoke <id>.');
  return withDatabase(settings, async (db) => {
    await revokeServiceToken(db, systemClock, shell, id);
    return `${id} is revoked.\n`;
  });
}
