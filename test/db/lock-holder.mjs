// Locks the folder that it is told, says so, and holds on until it is ended; with a user's id it opens the embedded
// database there and writes that user. A process of its own, so that it can be killed. It runs what was built, since Node 20
// does not read TypeScript.
const [dataDir, userId] = process.argv.slice(2);

async function hold() {
  if (userId === undefined) {
    const { lockDataDir } = await import('../../dist/db/lock.js');
    return lockDataDir(dataDir);
  }
  const { openDatabase } = await import('../../dist/db/open.js');
  const database = await openDatabase({ dataDir });
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
