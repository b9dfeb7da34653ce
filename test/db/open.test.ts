import { expect, test } from 'vitest';
import { openTestDatabase } from '../database.js';

test('a migrated database answers', async () => {
  const t0 = Date.now();
  const database = await openTestDatabase();
  console.log('open', Date.now() - t0);
  const user = await database.db.user.create({ data: { id: 'usr_1', name: 'Ada', email: 'ada@example.com' } });
  expect(user.createdAt.getTime()).toBeGreaterThan(Date.now() - 60_000);
  await database.close();
});
