import { startScript, stop } from './child.mjs';
import { prepareEmbedded, preparePostgresql, startTollkeeper } from './tollkeeper.mjs';

/**
 * @typedef {object} Subject a server under load
 * @property {number[]} ports
 * @property {number[]} pids
 * @property {import('node:child_process').ChildProcess} [ownLoad] a process that generates its own load and
 *   takes orders
 * @property {import('./tollkeeper.mjs').Data} [data]
 * @property {Record<string, import('./load/generator.mjs').Population>} [populations]
 * @property {() => Promise<void>} stop
 */

/** Room for a million keys; the default is 64 MB. */
const mostKeysCacheMb = 128;

/** Maximum number of connections to PostgreSQL per process of a peer: the same as Tollkeeper's. */
const poolSize = 10;

/** @param {{ directory: string, postgresql: any, keys: { many: number, few: number, most: number } }} run */
export function createSubjects({ directory, postgresql, keys }) {
  const once = (make) => {
    let made;
    return () => {
      made ??= make();
      return made;
    };
  };
  /** @type {Map<string, import('./tollkeeper.mjs').Data>} */
  const prepared = new Map();
  const data = (name, prepare) =>
    once(async () => {
      process.stderr.write(`filling the database of ${name}\n`);
      const made = await prepare();
      await postgresql.checkpoint();
      prepared.set(name, made);
      return made;
    });
  const onPostgresql = (name, wanted) =>
    data(name, async () => preparePostgresql(await postgresql.createDatabase(name), wanted, directory));
  const tenToAWorkspace = (name, count) => ({ name, keys: count, workspaces: Math.max(1, count / 10) });

  const main = onPostgresql('main', [
    tenToAWorkspace('many', keys.many),
    { name: 'one', keys: keys.many, workspaces: 1 },
  ]);
  const few = onPostgresql('few', [{ ...tenToAWorkspace('many', keys.few) }]);
  const most = onPostgresql('most', [{ ...tenToAWorkspace('many', keys.most) }]);
  const embedded = data('embedded', () => prepareEmbedded([tenToAWorkspace('many', keys.many)], directory));

  const peer =
    (name, makeSettings = async () => ({})) =>
    async () => {
      const { populations, ...settings } = await makeSettings();
      const { child, ready } = await startScript(new URL(`./peers/${name}.mjs`, import.meta.url), settings);
      return { ports: [ready.port], pids: [child.pid], populations, child, stop: () => stop(child) };
    };
  const tollkeeper =
    (getData, { processes = 1, ...options } = {}) =>
    async () => {
      const made = await getData();
      const servers = [];
      for (let count = 0; count < processes; count += 1) servers.push(await startTollkeeper(made, directory, options));
      return {
        ports: servers.map(({ port }) => port),
        pids: servers.map(({ pid }) => pid),
        populations: made.populations,
        data: made,
        stop: async () => {
          await Promise.all(servers.map((server) => server.stop()));
        },
      };
    };

  /** @type {Record<string, () => Promise<Subject>>} */
  const start = {
    'bare-http': peer('bare-http'),
    yoga: peer('yoga'),
    mercurius: peer('mercurius'),
    'better-auth': peer('better-auth', async () => {
      const { populations } = await main();
      const databaseUrl = await postgresql.createDatabase('better-auth');
      return { databaseUrl, poolSize, population: populations.many, populations };
    }),
    'statement-per-charge': async () => {
      const databaseUrl = await postgresql.createDatabase('statement-per-charge');
      const subject = await peer('statement-per-charge', async () => ({ databaseUrl, poolSize }))();
      return { ...subject, ports: [], ownLoad: subject.child };
    },
    tollkeeper: tollkeeper(main),
    'tollkeeper-logging': tollkeeper(main, { logLevel: 'info' }),
    'tollkeeper-twice': tollkeeper(main, { processes: 2 }),
    'tollkeeper-embedded': tollkeeper(embedded),
    'tollkeeper-few': tollkeeper(few),
    'tollkeeper-most': tollkeeper(most, { keyCacheMb: mostKeysCacheMb }),
  };
  return { start: (name) => start[name](), prepared };
}
