import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { viewerOf, withToken } from './journey.js';
import { patience, test } from './server-process.js';

describe('the shell of an operator', patience, () => {
  test('migrates a database, so that a server that must not migrate starts on it', async ({
    database,
    runShell,
    startServer,
  }) => {
    const migrated = { code: 0, stdout: 'The database is up to date.\n', stderr: '' };
    expect(await runShell(['migrate'], database)).toEqual(migrated);
    const server = await startServer({ TOLLKEEPER_MIGRATE: 'false' });
    expect((await server.fetch('/health/ready')).status).toBe(200);
  });

  test('makes a service token that works, lists it without its plaintext, and revokes it', async ({
    database,
    runShell,
    startServer,
  }) => {
    const created = await runShell(['service-token', 'create', 'billing'], database);
    const { token = '', id = '' } =
      /^(?<token>tks_\w+)\n\nShown this once: store it now\. Its id is (?<id>\w+)\.\n$/.exec(created.stdout)?.groups ??
      {};
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

  test('checks product files without a database', async ({ folder, runShell }) => {
    expect(await runShell(['products', 'check', 'default', 'masko'])).toEqual({
      code: 0,
      stdout: 'default: Default\nmasko: Masko\n',
      stderr: '',
    });
    await writeFile(join(folder, 'acme.json'), '{ "slug": "acme" }');
    expect(await runShell(['products', 'check', './acme.json'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^The product file \.\/acme\.json/),
    });
  });

  test('does not touch a data folder that a server holds', async ({ embeddedDatabase: _, runShell, startProcess }) => {
    await startProcess();
    expect(await runShell(['service-token', 'create', 'billing'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^The data folder \.tollkeeper is in use by process \d+/),
    });
  });

  test('says what it can do', async ({ runShell }) => {
    for (const args of [[], ['help'], ['--help']]) {
      expect(await runShell(args)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^Usage: tollkeeper <command>/),
      });
    }
  });

  test.for([
    [['mgirate'], 'There is no such command.'],
    [['service-token', 'create'], 'Give the token a name'],
    [['service-token', 'revoke'], 'Name the token by its id'],
  ] as const)('refuses %j with a sentence and 1', async ([args, sentence], { runShell }) => {
    expect(await runShell(args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(sentence) });
  });

  test('refuses to revoke a token that is not there', async ({ database, runShell }) => {
    expect(await runShell(['service-token', 'revoke', 'svt_0'], database)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'Service token not found.\n',
    });
  });
});
