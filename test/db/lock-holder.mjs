// Locks the given folder, prints "holding", and keeps the lock until it is ended. With a user id it also
// opens the embedded database there and writes that user. A separate process, so that a test can kill it. It
// runs the built code, because Node 20 does not run TypeScript.
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
  // The lock alone does not keep the process alive.
  setInterval(() => undefined, 60_000);
  console.log('holding');
} catch (error) {
  console.log(`${error.name}: ${error.message}`);
  process.exit(1);
}
