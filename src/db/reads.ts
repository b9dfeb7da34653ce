import type { SqlQueryable, Transaction } from '@prisma/driver-adapter-utils';
import type { PrismaClient } from '../generated/prisma/client.js';
import type { ScriptAdapterFactory } from './adapter.js';
import type { OpenReads } from './database.js';

/** Is never sent to the database: it tells an adapter's transaction which connection it has. */
const useConnection = 'tollkeeper.use_connection';

/** Prisma ends a transaction after this time. */
const channelMsMax = 20 * 60_000;
/** A channel that is older is not used again. */
const channelReuseMsMax = 10 * 60_000;
const idleChannelsMax = 50;

/**
 * What the statements of a channel run on, until the signal of its request aborts. Null: no request uses it.
 */
interface Connection {
  current: Pick<SqlQueryable, 'queryRaw'> | null;
}

/** A client, and the connection that its statements use. One request uses it at a time. */
interface Channel {
  readonly db: PrismaClient;
  readonly connection: Connection;
  readonly openedAt: number;
  close(): void;
}

/**
 * Prisma passes nothing of a request to its driver adapter, except in a transaction, which is an object of
 * the adapter. So the reads of a request use such an object that begins no transaction: every statement runs
 * by itself, on any connection of the pool, and several at a time. They are used again, because opening one
 * takes half as long as a small query.
 */
export function createReads(
  factory: ScriptAdapterFactory,
  clientOn: (factory: ScriptAdapterFactory) => PrismaClient,
): { open: OpenReads; close(): Promise<void> } {
  const connections = new Map<string, Connection>();
  const idle: Channel[] = [];
  let opened = 0;
  let isClosed = false;
  const client = clientOn({
    ...factory,
    connect: async () => ({
      ...(await factory.connect()),
      startTransaction: async () => ({ ...readsOn(factory, connections), executeScript: refuse }),
    }),
  });

  function openChannel(): Promise<Channel> {
    opened += 1;
    const name = String(opened);
    const connection: Connection = { current: null };
    connections.set(name, connection);
    return new Promise((resolve, reject) => {
      client
        .$transaction(
          async (tx) => {
            await tx.$executeRawUnsafe(useConnection, name);
            connections.delete(name);
            const db = oneCallPerTick(tx as PrismaClient);
            await new Promise<void>((close) => resolve({ db, connection, openedAt: performance.now(), close }));
          },
          { timeout: channelMsMax },
        )
        .catch((error: unknown) => {
          connections.delete(name);
          reject(error);
        });
    });
  }

  function findIdle(): Channel | null {
    for (let channel = idle.pop(); channel !== undefined; channel = idle.pop()) {
      if (performance.now() - channel.openedAt < channelReuseMsMax) return channel;
      channel.close();
    }
    return null;
  }

  return {
    async open(signal) {
      const channel = findIdle() ?? (await openChannel());
      channel.connection.current = await factory.connectUntil(signal);
      return {
        db: channel.db,
        close() {
          channel.connection.current = null;
          // What still runs after an abort must not run for another request.
          if (signal.aborted || isClosed || idle.length >= idleChannelsMax) channel.close();
          else idle.push(channel);
        },
      };
    },
    async close() {
      isClosed = true;
      for (const channel of idle.splice(0)) channel.close();
      await client.$disconnect();
    },
  };
}

/**
 * The same client, each of whose calls begins in a tick of its own. Prisma runs the calls of one tick
 * within a transaction one after the other, and a failure ends them all.
 */
function oneCallPerTick(client: PrismaClient): PrismaClient {
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = (call: () => unknown) => {
    const begun = turn;
    turn = begun.then(() => new Promise<void>((resolve) => process.nextTick(resolve)));
    return begun.then(call);
  };
  const withTurns = <Target extends object>(target: Target): Target => {
    const members = new Map<string | symbol, unknown>();
    return new Proxy({} as Target, {
      has: (_empty, name) => Reflect.has(target, name),
      get(_empty, name) {
        if (!members.has(name)) members.set(name, memberOf(target, name));
        return members.get(name);
      },
    });
  };
  const memberOf = (target: object, name: string | symbol): unknown => {
    const member: unknown = Reflect.get(target, name);
    if (typeof member === 'function') {
      return (...parameters: unknown[]) => inTurn(() => Reflect.apply(member, target, parameters));
    }
    return typeof member === 'object' && member !== null ? withTurns(member) : member;
  };
  return withTurns(client);
}

function readsOn(factory: ScriptAdapterFactory, connections: ReadonlyMap<string, Connection>): Transaction {
  let connection: Connection | undefined;
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    // Prisma sends neither BEGIN nor COMMIT.
    options: { usePhantomQuery: true },
    async queryRaw(query) {
      const current = connection?.current;
      if (current == null) throw new Error('The request of these reads has ended.');
      return current.queryRaw(query);
    },
    async executeRaw({ sql, args: [name] }) {
      if (sql !== useConnection || typeof name !== 'string') return refuse();
      connection = connections.get(name);
      return 0;
    },
    commit: async () => undefined,
    rollback: async () => undefined,
    createSavepoint: refuse,
    rollbackToSavepoint: refuse,
    releaseSavepoint: refuse,
  };
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('The reads of a query run no other statements than SELECT.'));
}
