// Locks the folder that it is told, says so, and holds on until it is ended; with a user's id it opens the embedded
// database there and writes that user. A process of its own, since only such a one can be killed; Vite reads the
// TypeScript that Node 20 cannot.
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const [dataDir, userId] = process.argv.slice(2);
const root = fileURLToPath(new URL('../..', import.meta.url));
const vite = await createViteServer({
  root,
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, ws: false },
});

async function hold() {
  if (userId === undefined) {
    const { lockDataDir } = await vite.ssrLoadModule('/src/db/lock.ts');
    return lockDataDir(dataDir);
  }
  const { openDatabase } = await vite.ssrLoadModule('/src/db/open.ts');
  const { migrate } = await vite.ssrLoadModule('/src/db/migrate.ts');
  const database = await openDatabase({ dataDir });
  await migrate(database);
  await database.db.user.create({ data: { id: userId, name: 'Ada', email: `${userId}@example.com` } });
  return database.close;
}

try {
  const release = await hold();
  process.on('SIGTERM', async () => {
    await release();
    process.exit(0);
  });
  // A lock alone keeps no process alive.
  setInterval(() => undefined, 60_000);
  console.log('holding');
} catch (error) {
  console.log(`${error.name}: ${error.message}`);
  process.exit(1);
}
