import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { vi } from 'vitest';

/** The SELECT statements of `work`, in order, on either database, without those of background jobs. */
export async function readStatements(work: () => Promise<unknown>): Promise<string[]> {
  const statements: string[] = [];
  const note = (statement: unknown) => {
    const text = typeof statement === 'string' ? statement : (statement as { text?: string }).text;
    if (text !== undefined && /^\s*SELECT\b/.test(text) && !isSweep(text)) statements.push(text);
  };
  const { query, transaction } = PGlite.prototype;
  const spies = [
    vi.spyOn(PGlite.prototype, 'query').mockImplementation(function (this: PGlite, ...args) {
      note(args[0]);
      return query.apply(this, args);
    } as typeof query),
    vi.spyOn(PGlite.prototype, 'transaction').mockImplementation(function (this: PGlite, run) {
      return transaction.call(this, (tx) =>
        run(
          new Proxy(tx, {
            get(target, name) {
              if (name !== 'query') return Reflect.get(target, name);
              return (...args: Parameters<typeof query>) => {
                note(args[0]);
                return target.query(...args);
              };
            },
          }),
        ),
      );
    } as typeof transaction),
    spyOnPostgresql(note),
  ];
  try {
    await work();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return statements;
}

function spyOnPostgresql(note: (statement: unknown) => void) {
  const query: (...args: unknown[]) => unknown = pg.Client.prototype.query;
  return vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    note(args[0]);
    return query.apply(this, args);
  });
}

/** The background job that expires holds runs at intervals. */
function isSweep(text: string): boolean {
  return text.includes('"public"."Charge"') && text.includes('"expiresAt" <=');
}
