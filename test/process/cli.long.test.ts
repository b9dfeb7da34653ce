import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { openDatabase } from '../../src/db/open.js';
import type { Db } from '../../src/db/transaction.js';
import { aCustomerWithKey, viewerOf, withToken } from './customer.js';
import { patience, test } from './server-process.js';

/** Runs work in the database of the processes of a test, while none of them runs. */
async function inDatabase<T>(
  folder: string,
  { DATABASE_URL }: Readonly<Record<string, string>>,
  work: (db: Db) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(
    DATABASE_URL === undefined ? { dataDir: join(folder, '.tollkeeper') } : { databaseUrl: DATABASE_URL },
  );
  try {
    return await work(database.db);
  } finally {
    await database.close();
  }
}

describe('the tollkeeper command', patience, () => {
  test('migrates a database, on which a server with migrations disabled then starts', async ({
    database,
    runShell,
    startServer,
  }) => {
    const migrated = { code: 0, stdout: 'The database is up to date.\n', stderr: '' };
    expect(await runShell(['migrate'], database)).toEqual(migrated);
    const server = await startServer({ TOLLKEEPER_MIGRATE: 'false' });
    expect((await server.fetch('/health/ready')).status).toBe(200);
  });

  test('creates a working service token, lists it without its plaintext, and revokes it', async ({
    database,
    runShell,
    startServer,
  }) => {
    const created = await runShell(['service-token', 'create', 'billing'], database);
    const { token = '', id = '' } =
      /^(?<token>tks_\w+)\n\nThis token is shown only once: store it now\. Its id is (?<id>\w+)\.\n$/.exec(
        created.stdout,
      )?.groups ?? {};
    expect(created).toMatchObject({ code: 0, stderr: '' });

    const server = await startServer();
    expect(await viewerOf(withToken(server, token))).toMatchObject({ kind: 'SERVICE' });
    await server.end();

    expect(await runShell(['service-token', 'revoke', id], database)).toMatchObject({
      code: 0,
      stdout: `${id} is revoked.\n`,
    });
    const { stdout } = await runShell(['service-token', 'list'], database);
    expect(stdout).toMatch(new RegExp(`^${id}  …${token.slice(-4)}  \\S+  revoked \\S+  billing\n$`));
  });

  test('verifies the audit trail and reports changed events and differences from an earlier output', async ({
    folder,
    database,
    runShell,
    startServer,
  }) => {
    const server = await startServer();
    const { workspaceId } = await aCustomerWithKey(server);
    await server.end();
    const verified = await runShell(['audit', 'verify'], database);
    expect(verified).toEqual({
      code: 0,
      stdout: expect.stringMatching(new RegExp(`^server \\d+ [0-9a-f]{64}\n${workspaceId} 3 [0-9a-f]{64}\n$`)),
      stderr: '',
    });
    await writeFile(join(folder, 'noted'), verified.stdout);
    expect(await runShell(['audit', 'verify', 'noted'], database)).toEqual(verified);

    const events = await inDatabase(folder, database, async (db) => {
      const all = await db.auditEvent.findMany({ where: { workspaceId }, orderBy: { sequence: 'asc' } });
      await db.$transaction(async (tx) => {
        await tx.$executeRaw`SET LOCAL session_replication_role = replica`;
        await tx.auditEvent.update({ where: { id: all[1]?.id ?? '' }, data: { actorId: null } });
      });
      return all;
    });
    const broken = `The audit trail is not intact. 2 chains were verified.\n${workspaceId}: event 2 (${events[1]?.id}) was changed.\n`;
    expect(await runShell(['audit', 'verify'], database)).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^server \d+ [0-9a-f]{64}\n$/),
      stderr: broken,
    });

    // Recomputing all hashes, including the head of the chain, is detected by comparison with the earlier
    // output.
    await inDatabase(folder, database, (db) =>
      db.$transaction(async (tx) => {
        await tx.$executeRaw`SET LOCAL session_replication_role = replica`;
        for (const { sequence } of events.slice(1)) {
          await tx.$executeRaw`
            UPDATE "AuditEvent" e SET "previousHash" = p."hash" FROM "AuditEvent" p
            WHERE p."workspaceId" = e."workspaceId" AND p."sequence" = e."sequence" - 1
              AND e."workspaceId" = ${workspaceId} AND e."sequence" = ${sequence}::int`;
          await tx.$executeRaw`
            UPDATE "AuditEvent" e SET "hash" = tollkeeper.audit_hash(e)
            WHERE "workspaceId" = ${workspaceId} AND "sequence" = ${sequence}::int`;
        }
        await tx.$executeRaw`
          UPDATE "AuditChain" c SET "hash" = e."hash" FROM "AuditEvent" e
          WHERE e."workspaceId" = c."workspaceId" AND e."sequence" = c."sequence" AND c."workspaceId" = ${workspaceId}`;
      }),
    );
    expect(await runShell(['audit', 'verify'], database)).toMatchObject({ code: 0, stderr: '' });
    expect(await runShell(['audit', 'verify', 'noted'], database)).toMatchObject({
      code: 1,
      stderr: `The audit trail is not intact. 2 chains were verified.\n${workspaceId}: event 3, which is in noted, has another hash.\n`,
    });
  });

  test('refuses a data folder that a running server holds', async ({ embeddedDatabase: _, runShell, startProcess }) => {
    await startProcess();
    expect(await runShell(['service-token', 'create', 'billing'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^The data folder \.tollkeeper is in use by process \d+/),
    });
  });

  test('refuses a file that is missing or is not an earlier output', async ({ folder, database, runShell }) => {
    await writeFile(join(folder, 'noted'), 'server 1 nonsense\n');
    expect(await runShell(['audit', 'verify', 'noted'], database)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^noted is not the output of `tollkeeper audit verify`\..*server 1 nonsense\n$/),
    });
    expect(await runShell(['audit', 'verify', 'nowhere'], database)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^nowhere cannot be read \(ENOENT/),
    });
  });

  test('refuses to revoke an unknown token', async ({ database, runShell }) => {
    expect(await runShell(['service-token', 'revoke', 'svt_0'], database)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'Service token not found.\n',
    });
  });
});
