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

// The watcher of the data folder's lock throws outside of any await. Its error ends the process, too.
process.on('uncaughtException', endWith);

try {
  await start(readSettings());
} catch (error) {
  endWith(error);
}

/** Composes the server and listens. On a signal, closes everything in reverse order. */
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
      budgets: limits.budgets,
      encryptionKey,
      publicUrl,
      allowedOrigins: settings.allowedOrigins,
      identityProvider:
        settings.oidcIssuer !== null && settings.oidcAudience !== null
          ? { issuer: settings.oidcIssuer, audience: settings.oidcAudience }
          : null,
      trustedProxies: settings.trustedProxies,
      signUp: settings.signUp,
      mutationsPerMinute: settings.mutationsPerMinute,
      costPerMinute: settings.costPerMinute,
      webhooksAllowPrivate: settings.webhooksAllowPrivate,
      webhooksAllow: settings.webhooksAllow,
      keyCacheMb: settings.keyCacheMb,
      servesPlayground: settings.servesPlayground,
      introspection: settings.introspection,
    });
    const listening = await listen(server.handler, settings);
    // Created last, when nothing can fail any more: otherwise the plaintext could be lost unprinted.
    const firstToken = await createFirstServiceToken(database.db, 'created on the first start');
    if (firstToken !== null) {
      const { servesPlayground } = settings;
      process.stdout.write(firstStartNotice({ publicUrl, token: firstToken, products, servesPlayground }));
    }
    log.info(
      { url: publicUrl, port: listening.port, database: database.kind, products: products.all.map(({ slug }) => slug) },
      'Tollkeeper is ready',
    );

    const signal = await waitForSignal();
    log.info({ signal }, 'shutting down: finishing requests in flight');
    await listening.close();
  } finally {
    await server?.close();
    await limits?.close();
    await database.close();
  }
  log.info('shut down');
}

/** Default public address. An IPv6 address is put in brackets (RFC 3986, 3.2.2). */
function addressOf({ host, port }: Settings): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function waitForSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
