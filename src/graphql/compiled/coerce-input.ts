import {
  type GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLList,
  GraphQLNonNull,
  isInputObjectType,
  isLeafType,
} from 'graphql';

/**
 * The result of a coercion that graphql-js has to decide: the value is invalid, or of a form that is rare.
 */
export const notCoerced = Symbol('not coerced');

/**
 * Coerces a JSON value to what a resolver receives, or returns {@link notCoerced}. An absent value is
 * `undefined`.
 */
export type Coerce = (value: unknown) => unknown;

/**
 * Compiles the coercion of an input type (GraphQL, 3.12, "input coercion"). For valid values it does what
 * `coerceInputValue` of graphql-js does; it is faster because it reads the type once and not again for each
 * value.
 */
export function compileCoercion(type: GraphQLInputType, compiled = new Map<GraphQLInputType, Coerce>()): Coerce {
  if (type instanceof GraphQLNonNull) {
    const coerce = compileCoercion(type.ofType, compiled);
    return (value) => (value == null ? notCoerced : coerce(value));
  }
  if (type instanceof GraphQLList) return nullable(compileList(compileCoercion(type.ofType, compiled)));
  if (isInputObjectType(type)) {
    const known = compiled.get(type);
    if (known !== undefined) return known;
    // A recursive type finds this entry while its own fields are still being compiled.
    let coerceObject: Coerce = () => notCoerced;
    compiled.set(type, (value) => coerceObject(value));
    coerceObject = nullable(compileObject(type, compiled));
    return coerceObject;
  }
  return nullable((value) => {
    try {
      const parsed: unknown = isLeafType(type) ? type.parseValue(value) : undefined;
      return parsed === undefined ? notCoerced : parsed;
    } catch {
      return notCoerced;
    }
  });
}

function nullable(coerce: Coerce): Coerce {
  return (value) => (value == null ? null : coerce(value));
}

function compileList(coerceItem: Coerce): Coerce {
  return (value) => {
    // A single value stands for a list of one. Clients rarely send that, so graphql-js coerces it.
    if (!Array.isArray(value)) return notCoerced;
    const items = value.map(coerceItem);
    return items.includes(notCoerced) ? notCoerced : items;
  };
}

function compileObject(type: GraphQLInputObjectType, compiled: Map<GraphQLInputType, Coerce>): Coerce {
  const fields = Object.values(type.getFields()).map(({ name, type: fieldType, defaultValue }) => ({
    name,
    coerce: compileCoercion(fieldType, compiled),
    isRequired: fieldType instanceof GraphQLNonNull,
    defaultValue,
  }));
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return notCoerced;
    const given = value as Readonly<Record<string, unknown>>;
    const coerced: Record<string, unknown> = {};
    let unknownCount = 0;
    for (const _name in given) unknownCount += 1;
    for (const { name, coerce, isRequired, defaultValue } of fields) {
      const part = Object.hasOwn(given, name) ? given[name] : undefined;
      if (part === undefined) {
        if (defaultValue !== undefined) coerced[name] = defaultValue;
        else if (isRequired) return notCoerced;
        continue;
      }
      unknownCount -= 1;
      const result = coerce(part);
      if (result === notCoerced || (type.isOneOf && result === null)) return notCoerced;
      coerced[name] = result;
    }
    if (unknownCount > 0 || (type.isOneOf && Object.keys(coerced).length !== 1)) return notCoerced;
    return coerced;
  };
}
