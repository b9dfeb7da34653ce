import { isIPv6 } from 'node:net';
import { createFirstServiceToken, registerServiceToken } from './domain/identity/service-tokens.js';
import { type OpenLimiter, openLimiter } from './domain/rate-limits/open-limiter.js';
import { listen } from './http/listen.js';
import { createLog } from './http/log.js';
import { loadProducts } from './products/load.js';
import { composeServer, type Server } from './server/compose.js';
import { readOrMakeEncryptionKey } from './server/encryption-key.js';
import { firstStartNotice } from './server/first-start-notice.js';
import { openMigratedDatabase } from './server/open-database.js';
import { endWith } from './server/start-failure.js';
import { readSettings, type Settings } from './settings.js';

// Nobody awaits what watches the lock of the data folder: it ends the process from aside, in the same words.
process.on('uncaughtException', endWith);

try {
  await start(readSettings());
} catch (error) {
  endWith(error);
}

/** Composes the server, listens, and closes in the reverse order when told to. */
async function start(settings: Settings): Promise<void> {
  const products = await loadProducts(settings.products);
  const log = createLog({ level: settings.logLevel, products: products.all });
  const database = await openMigratedDatabase(settings, log);
  let limits: OpenLimiter | undefined;
  let server: Server | undefined;
  try {
    limits = await openLimiter(settings.redisUrl, products, log);
    const publicUrl = settings.publicUrl ?? addressOf(settings);
    const encryptionKey = settings.encryptionKey ?? (await readOrMakeEncryptionKey(settings.dataDir));
    if (settings.serviceToken !== null)
      await registerServiceToken(database.db, 'from the environment', settings.serviceToken);
    server = composeServer({
      database,
      products,
      log,
      limiter: limits.limiter,
      encryptionKey,
      publicUrl,
      allowedOrigins: settings.allowedOrigins,
      identityProvider:
        settings.oidcIssuer !== null && settings.oidcAudience !== null
          ? { issuer: settings.oidcIssuer, audience: settings.oidcAudience }
          : null,
      mutationsPerMinute: settings.mutationsPerMinute,
      webhooksAllowPrivate: settings.webhooksAllowPrivate,
      keyCacheMb: settings.keyCacheMb,
    });
    const listening = await listen(server.handler, settings);
    // Made once nothing can fail any more: a token that nobody was shown would be lost.
    const madeToken = await createFirstServiceToken(database.db, 'made on the first start');
    if (madeToken !== null) process.stdout.write(firstStartNotice({ publicUrl, token: madeToken, products }));
    log.info(
      { url: publicUrl, port: listening.port, database: database.kind, products: products.all.map(({ slug }) => slug) },
      'Tollkeeper is ready',
    );

    const signal = await untilTold();
    log.info({ signal }, 'closing: finishing what is in flight');
    await listening.close();
  } finally {
    await server?.close();
    await limits?.close();
    await database.close();
  }
  log.info('closed');
}

/** Where this machine finds the server, unless the operator knows better. An IPv6 address stands in brackets (RFC 3986, 3.2.2). */
function addressOf({ host, port }: Settings): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function untilTold(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
