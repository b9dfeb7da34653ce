import { isIPv6 } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { composeServer, type Server } from './compose.js';
import { type OpenLimiter, openLimiter } from './domain/rate-limits/open-limiter.js';
import { createFirstServiceToken, registerServiceToken } from './domain/service-tokens.js';
import { readOrMakeEncryptionKey } from './encryption-key.js';
import { type Env, readEnv } from './env.js';
import { listen } from './http/listen.js';
import { createLog } from './http/log.js';
import { openForUse } from './open-for-use.js';
import { loadProducts } from './products/load.js';
import { endWith } from './start-failure.js';
import { firstStartNotice } from './welcome.js';

// V8 lets a busy heap grow to four times what is alive in it before it collects. To let it grow by a third costs requests of many a
// twentieth of their speed and single ones nothing that can be measured, and takes a quarter of a gigabyte less.
setFlagsFromString('--heap-growing-percent=30');

// Nobody awaits what watches the lock of the data folder: it ends the process from aside, in the same words.
process.on('uncaughtException', endWith);

try {
  await start(readEnv());
} catch (error) {
  endWith(error);
}

/** Composes the server, listens, and closes in the reverse order when told to. */
async function start(env: Env): Promise<void> {
  const products = await loadProducts(env.products);
  const log = createLog({ level: env.logLevel, products: products.all });
  const database = await openForUse(env, log);
  let limits: OpenLimiter | undefined;
  let server: Server | undefined;
  try {
    limits = await openLimiter(env.redisUrl, products, log);
    const publicUrl = env.publicUrl ?? addressOf(env);
    const encryptionKey = env.encryptionKey ?? (await readOrMakeEncryptionKey(env.dataDir));
    if (env.serviceToken !== null) await registerServiceToken(database.db, 'from the environment', env.serviceToken);
    server = composeServer({
      database,
      products,
      log,
      limiter: limits.limiter,
      encryptionKey,
      publicUrl,
      allowedOrigins: env.allowedOrigins,
      identityProvider:
        env.oidcIssuer !== null && env.oidcAudience !== null
          ? { issuer: env.oidcIssuer, audience: env.oidcAudience }
          : null,
      mutationsPerMinute: env.mutationsPerMinute,
      webhooksAllowPrivate: env.webhooksAllowPrivate,
    });
    const listening = await listen(server.handler, env);
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
function addressOf({ host, port }: Env): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function untilTold(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
