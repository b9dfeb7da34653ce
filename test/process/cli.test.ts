import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { patience, test } from './server-process.js';

// Commands that need a database: cli.long.test.ts.
describe('the tollkeeper command', patience, () => {
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

  test('prints its usage', async ({ runShell }) => {
    for (const args of [[], ['help'], ['--help']]) {
      expect(await runShell(args)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^Usage: tollkeeper <command>/),
      });
    }
  });

  test.for([
    [['mgirate'], 'Unknown command.'],
    [['service-token', 'create'], 'The name of the token is missing'],
    [['service-token', 'revoke'], 'The id of the token is missing'],
    [['audit'], 'Unknown command.'],
  ] as const)('refuses %j with an error message and exit code 1', async ([args, sentence], { runShell }) => {
    expect(await runShell(args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(sentence) });
  });
});
