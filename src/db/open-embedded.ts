import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { StartError } from '../errors.js';
import { inTransaction } from './adapter.js';
import { clientOn, type Database, type EmbeddedOptions, once, type Statement } from './database.js';
import { embeddedAdapterFactory } from './embedded-adapter.js';
import { lockDataDir } from './lock.js';
import { createReads } from './reads.js';

/**
 * Opens PGlite, in memory or in a folder that this process locks.
 * @throws StartError if the folder is in use or cannot be opened.
 */
export async function openEmbedded({ dataDir, snapshot }: EmbeddedOptions): Promise<Database> {
  const release = dataDir === null ? async () => undefined : await lockDataDir(dataDir);
  try {
    const pglite = await openPGlite(dataDir, snapshot);
    const factory = embeddedAdapterFactory(pglite);
    const db = clientOn(factory);
    const reads = createReads(factory, clientOn);
    return {
      db,
      run: async <Row extends object>({ text }: Statement, values: readonly unknown[]) =>
        (await pglite.query<Row>(text, [...values])).rows,
      openReads: reads.open,
      kind: 'embedded',
      exclusively: async (work) => inTransaction(await factory.connect(), work),
      dump: () => pglite.dumpDataDir('none'),
      close: once(async () => {
        await reads.close();
        await db.$disconnect();
        await pglite.close();
        await release();
      }),
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/**
 * PostgreSQL's page cache. The default of 128 MB takes 130 MB more and is no faster: the operating system
 * caches the files, too.
 */
const sharedBuffers = '32MB';

async function openPGlite(dataDir: string | null, snapshot: Blob | undefined): Promise<PGlite> {
  try {
    return await PGlite.create({
      startParams: [...PGlite.defaultStartParams, '-c', `shared_buffers=${sharedBuffers}`],
      ...(dataDir === null ? {} : { dataDir: join(dataDir, 'database') }),
      ...(snapshot === undefined ? {} : { loadDataDir: snapshot }),
    });
  } catch (error) {
    if (dataDir === null) throw error;
    throw new StartError(
      `The embedded database in ${dataDir} cannot be opened (${error instanceof Error ? error.message : String(error)}). ` +
        'Check that this user may write there and that the disk has room; else restore the folder from a copy, or set TOLLKEEPER_DATA_DIR to another one.',
      { cause: error },
    );
  }
}
