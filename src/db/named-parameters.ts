/** How a value is sent as one parameter of a statement, and the SQL expression that reads it. */
export interface Parameter<Value> {
  readonly sql: (position: string) => string;
  readonly encode: (value: Value) => unknown;
}

/** Names with their parameters, in any order: a contract with a SQL function, or with a list of columns. */
type Parameters = Readonly<Record<string, Parameter<never>>>;
type Values<Named extends Parameters> = {
  readonly [Name in keyof Named]: Named[Name] extends Parameter<infer Value> ? Value : never;
};

export interface NamedParameters<Named extends Parameters> {
  /** `name => expression, …`: the arguments of a function call. */
  readonly callArguments: string;
  /** `expression, …`, and the names in the same order: for `unnest(expressions) AS rows(names)`. */
  readonly expressions: string;
  readonly names: string;
  /** The values in the order of the parameters. */
  encode(values: Values<Named>): unknown[];
}

/** Names the parameters of a statement, so that no caller depends on their order. */
export function nameParameters<Named extends Parameters>(named: Named): NamedParameters<Named> {
  const names = Object.keys(named);
  const expressions = names.map((name, index) => named[name]?.sql(`$${index + 1}`) ?? '');
  return {
    callArguments: names.map((name, index) => `${name} => ${expressions[index]}`).join(', '),
    expressions: expressions.join(', '),
    names: names.join(', '),
    encode: (values) => names.map((name) => named[name]?.encode(values[name] as never)),
  };
}

/** A value that the driver encodes. */
export function single<Value extends string | number | boolean | null>(type: string): Parameter<Value> {
  return { sql: (position) => `${position}::${type}`, encode: (value) => value };
}

/**
 * A list of values without commas that are not empty (ids, numbers, times) as one text: cheaper on both sides
 * than an array.
 */
export function list<Item extends string | number | boolean>(type: string): Parameter<readonly Item[]> {
  return { sql: (position) => `string_to_array(${position}, ',')::${type}[]`, encode: (items) => items.join(',') };
}

/** As {@link list}, with null for items that are absent, or for the whole list. */
export function nullableList<Item extends string | number>(type: string): Parameter<readonly (Item | null)[] | null> {
  return {
    sql: (position) => `string_to_array(${position}, ',', '')::${type}[]`,
    encode: (items) => items?.join(',') ?? null,
  };
}

/** A list of any texts, as an array. */
export function arrayOf<Item extends string>(type: string): Parameter<readonly (Item | null)[] | null> {
  return { sql: (position) => `${position}::${type}[]`, encode: (items) => items };
}
