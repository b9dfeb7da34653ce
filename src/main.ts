import { composeServer } from './compose.js';
import type { Db } from './db/transaction.js';
import { type OpenLimiter, openLimiter } from './domain/rate-limits/open-limiter.js';
import { createServiceToken, hasServiceToken, registerServiceToken } from './domain/service-tokens.js';
import { readOrMakeEncryptionKey } from './encryption-key.js';
import { type Env, readEnv } from './env.js';
import { listen } from './http/listen.js';
import { createLog } from './http/log.js';
import { openForUse } from './open-for-use.js';
import { loadProducts } from './products/load.js';
import { endWith } from './start-failure.js';
import { firstStartNotice } from './welcome.js';

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
  try {
    limits = await openLimiter(env.redisUrl, products, log);
    const publicUrl = env.publicUrl ?? `http://${env.host}:${env.port}`;
    const encryptionKey = env.encryptionKey ?? (await readOrMakeEncryptionKey(env.dataDir));
    const madeToken = await provideServiceToken(database.db, env);
    const server = composeServer({
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
    });
    const listening = await listen(server.handler, env);
    if (madeToken !== null) process.stdout.write(firstStartNotice({ publicUrl, token: madeToken, products }));
    log.info(
      { url: publicUrl, port: listening.port, database: database.kind, products: products.all.map(({ slug }) => slug) },
      'Tollkeeper is ready',
    );

    const signal = await untilTold();
    log.info({ signal }, 'closing: finishing what is in flight');
    await listening.close();
    await server.close();
  } finally {
    await limits?.close();
    await database.close();
  }
  log.info('closed');
}

/** Registers the token that the environment gives, or makes the first one. @returns the plaintext of a token that was made now, to be shown once. */
async function provideServiceToken(db: Db, env: Env): Promise<string | null> {
  if (env.serviceToken !== null) {
    await registerServiceToken(db, 'from the environment', env.serviceToken);
    return null;
  }
  return (await hasServiceToken(db)) ? null : (await createServiceToken(db, 'made on the first start')).token;
}

function untilTold(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
