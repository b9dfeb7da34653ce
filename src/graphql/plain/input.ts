import {
  type GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLList,
  GraphQLNonNull,
  isInputObjectType,
  isLeafType,
} from 'graphql';

/** What a coercion answers with where a value is not plainly right. The executor then looks at it, and knows the words for what is wrong. */
export const notPlain = Symbol('not plain');

/** Coerces a value out of JSON to what a resolver gets, or answers {@link notPlain}. Absent is `undefined`. */
export type Coerce = (value: unknown) => unknown;

/**
 * Makes the function that coerces variables of a type, as graphql-js's `coerceInputValue` does for values that are right (GraphQL, 3.12,
 * "input coercion"). Looking at the type once instead of at every value is what makes it worth having.
 */
export function coerceTo(type: GraphQLInputType, made = new Map<GraphQLInputType, Coerce>()): Coerce {
  if (type instanceof GraphQLNonNull) {
    const coerce = coerceTo(type.ofType, made);
    return (value) => (value == null ? notPlain : coerce(value));
  }
  if (type instanceof GraphQLList) return nullable(coerceToList(coerceTo(type.ofType, made)));
  if (isInputObjectType(type)) {
    const known = made.get(type);
    if (known !== undefined) return known;
    // A type that contains itself finds this one while its own fields are still being looked at.
    let coerceObject: Coerce = () => notPlain;
    made.set(type, (value) => coerceObject(value));
    coerceObject = nullable(coerceToObject(type, made));
    return coerceObject;
  }
  return nullable((value) => {
    try {
      const parsed: unknown = isLeafType(type) ? type.parseValue(value) : undefined;
      return parsed === undefined ? notPlain : parsed;
    } catch {
      return notPlain;
    }
  });
}

function nullable(coerce: Coerce): Coerce {
  return (value) => (value == null ? null : coerce(value));
}

function coerceToList(coerceItem: Coerce): Coerce {
  return (value) => {
    // A value that is no list is a list of itself, which few send.
    if (!Array.isArray(value)) return notPlain;
    const items = value.map(coerceItem);
    return items.includes(notPlain) ? notPlain : items;
  };
}

function coerceToObject(type: GraphQLInputObjectType, made: Map<GraphQLInputType, Coerce>): Coerce {
  const fields = Object.values(type.getFields()).map(({ name, type: fieldType, defaultValue }) => ({
    name,
    coerce: coerceTo(fieldType, made),
    isRequired: fieldType instanceof GraphQLNonNull,
    defaultValue,
  }));
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return notPlain;
    const given = value as Readonly<Record<string, unknown>>;
    const coerced: Record<string, unknown> = {};
    let unread = 0;
    for (const _name in given) unread += 1;
    for (const { name, coerce, isRequired, defaultValue } of fields) {
      const part = Object.hasOwn(given, name) ? given[name] : undefined;
      if (part === undefined) {
        if (defaultValue !== undefined) coerced[name] = defaultValue;
        else if (isRequired) return notPlain;
        continue;
      }
      unread -= 1;
      const result = coerce(part);
      if (result === notPlain || (type.isOneOf && result === null)) return notPlain;
      coerced[name] = result;
    }
    // A name that is left over is of no field.
    if (unread > 0 || (type.isOneOf && Object.keys(coerced).length !== 1)) return notPlain;
    return coerced;
  };
}
