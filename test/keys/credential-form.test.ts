import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { openTestDatabase } from '../database.js';
import { aPerson, createApiKey, verify } from '../factories.js';
import { startServer } from '../harness.js';

/** A server, and the names of the statements that it runs. */
async function aWatchedServer() {
  const database = await openTestDatabase();
  const statements: string[] = [];
  const watched: Database = {
    ...database,
    run: (statement, values) => {
      statements.push(statement.name);
      return database.run(statement, values);
    },
  };
  const server = await startServer({ database: watched });
  const close = async () => {
    await server.close();
    await database.close();
  };
  return { server, statements, close };
}

test('a malformed credential is looked up like an unknown one, so that both take the same time', async () => {
  const { server, statements, close } = await aWatchedServer();
  const owner = await aPerson(server);
  const { secret } = await createApiKey(owner.client, { name: 'ci', product: 'masko' });
  const unknown = `masko_${'0'.repeat(64)}`;
  const lookUpsOf = async (credential: string) => {
    statements.length = 0;
    const { code } = await verify(server, credential);
    return { code, statements: [...statements] };
  };
  await lookUpsOf(secret);
  const expected = { code: 'INVALID_CREDENTIAL', statements: ['refresh-keys'] };
  expect(await lookUpsOf(unknown)).toEqual(expected);
  for (const malformed of ['nonsense', secret.slice(0, -1), `${secret}0`, `masko_${'x'.repeat(64)}`]) {
    expect(await lookUpsOf(malformed), malformed.slice(0, 8)).toEqual(expected);
  }
  await close();
});
