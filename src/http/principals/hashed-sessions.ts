import type { prismaAdapter } from 'better-auth/adapters/prisma';
import { hashSecretHex } from '../../domain/access/secret-hash.js';

type CreateAdapter = ReturnType<typeof prismaAdapter>;
type Adapter = ReturnType<CreateAdapter>;
/** Also what better-auth gets within a transaction. */
type Statements = Omit<Adapter, 'transaction'>;
type Input<Statement extends keyof Omit<Statements, 'id' | 'options'>> = Parameters<
  NonNullable<Statements[Statement]>
>[0];
type CreateInput<Row> = Omit<Input<'create'>, 'data'> & { readonly data: Omit<Row, 'id'> };
type Where = Input<'findOne'>['where'][number];

const sessionModel = 'session';
const tokenField = 'token';

/**
 * A database adapter of better-auth that stores SHA-256 of session tokens: a copy of the database signs no
 * one in. Tokens have 32 random letters and digits (190 bits), so a fast hash is sufficient.
 *
 * better-auth finds, changes and deletes sessions by their token, and reads it from what it has found. So
 * every token is hashed on its way to the database, and shown again in rows that were found or written by
 * it. In all other rows the token stays a hash, which is no token: its own hash is not stored.
 */
export function hashSessionTokens(createAdapter: CreateAdapter): CreateAdapter {
  return (options) => {
    const adapter = createAdapter(options);
    return {
      ...adapter,
      ...hashTokensOf(adapter),
      transaction: (run) => adapter.transaction((tx) => run({ ...tx, ...hashTokensOf(tx) })),
    };
  };
}

function hashTokensOf(adapter: Statements): Omit<Statements, 'id' | 'options' | 'createSchema'> {
  return {
    async create<T extends Record<string, unknown>, R = T>(input: CreateInput<T>) {
      const tokens = new Tokens(input.model);
      return tokens.show(await adapter.create<T, R>({ ...input, data: tokens.hideInRow(input.data) }));
    },
    async findOne<T>(input: Input<'findOne'>) {
      const tokens = new Tokens(input.model);
      return tokens.show(await adapter.findOne<T>({ ...input, where: tokens.hide(input.where) }));
    },
    async findMany<T>(input: Input<'findMany'>) {
      const tokens = new Tokens(input.model);
      const rows = await adapter.findMany<T>({ ...input, where: input.where && tokens.hide(input.where) });
      return rows.map((row) => tokens.show(row));
    },
    async update<T>(input: Input<'update'>) {
      const tokens = new Tokens(input.model);
      const where = tokens.hide(input.where);
      return tokens.show(await adapter.update<T>({ ...input, where, update: tokens.hideInRow(input.update) }));
    },
    async consumeOne<T>(input: Input<'consumeOne'>) {
      const tokens = new Tokens(input.model);
      return tokens.show(await adapter.consumeOne<T>({ ...input, where: tokens.hide(input.where) }));
    },
    async incrementOne<T>(input: Input<'incrementOne'>) {
      const tokens = new Tokens(input.model);
      return tokens.show(await adapter.incrementOne<T>({ ...input, where: tokens.hide(input.where) }));
    },
    count(input) {
      return adapter.count({ ...input, where: input.where && new Tokens(input.model).hide(input.where) });
    },
    updateMany(input) {
      const tokens = new Tokens(input.model);
      const where = tokens.hide(input.where);
      return adapter.updateMany({ ...input, where, update: tokens.hideInRow(input.update) });
    },
    delete(input) {
      return adapter.delete({ ...input, where: new Tokens(input.model).hide(input.where) });
    },
    deleteMany(input) {
      return adapter.deleteMany({ ...input, where: new Tokens(input.model).hide(input.where) });
    },
  };
}

/** The tokens of one statement, by their hash. Statements on other tables pass unchanged. */
class Tokens {
  readonly #plaintexts = new Map<string, string>();

  constructor(readonly model: string) {}

  hide(where: Where[]): Where[] {
    if (this.model !== sessionModel) return where;
    return where.map((condition) =>
      condition.field === tokenField ? { ...condition, value: this.#hideValue(condition.value) } : condition,
    );
  }

  hideInRow<Row extends object>(row: Row): Row {
    if (this.model !== sessionModel || !hasToken(row)) return row;
    return { ...row, [tokenField]: this.#hash(row.token) };
  }

  show<Row>(row: Row): Row {
    if (this.model !== sessionModel || !hasToken(row)) return row;
    return { ...row, [tokenField]: this.#plaintexts.get(row.token) ?? row.token };
  }

  #hideValue(value: Where['value']): Where['value'] {
    if (typeof value === 'string') return this.#hash(value);
    return Array.isArray(value) ? value.map((each) => this.#hash(String(each))) : value;
  }

  #hash(token: string): string {
    const hash = hashSecretHex(token);
    this.#plaintexts.set(hash, token);
    return hash;
  }
}

function hasToken<Row>(row: Row): row is Row & { readonly token: string } {
  return typeof row === 'object' && row !== null && tokenField in row && typeof row.token === 'string';
}
