import SchemaBuilder, {
  BasePlugin,
  type FieldNullability,
  type InputFieldMap,
  type PothosOutputFieldConfig,
  type SchemaTypes,
  type TypeParam,
} from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { ValidationError } from '../errors.js';
import { requirePage } from './pages.js';

const pluginName = 'arguments';
export default pluginName;

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      arguments: ArgumentsPlugin<Types>;
    }
    export interface FieldOptions<
      Types extends SchemaTypes,
      ParentShape,
      Type extends TypeParam<Types>,
      Nullable extends FieldNullability<Type>,
      Args extends InputFieldMap,
      ResolveShape,
      ResolveReturnShape,
    > {
      /** Any text may be an argument: the resolver itself uses only those that have the form of an id. */
      takesAnyText?: boolean;
    }
  }
}

/**
 * Refuses, for every field at one place, arguments that nothing behind the schema can take: text that PostgreSQL does not store, and
 * pages that are none. It stands behind the errors plugin, so that the refusal is a member of a result where there is one.
 */
export class ArgumentsPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolve: GraphQLFieldResolver<unknown, Types['Context'], object>,
    { args, pothosOptions }: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    const { takesAnyText } = pothosOptions as { takesAnyText?: boolean };
    if (takesAnyText || Object.keys(args).length === 0) return resolve;
    const isConnection = 'first' in args && 'after' in args;
    return (parent, given, context, info) => {
      requireTexts('', given);
      if (isConnection) requirePage(given);
      return resolve(parent, given, context, info);
    };
  }
}

/** PostgreSQL stores no NUL, and half of a surrogate pair is no character: it would come back as another one. */
const unstorable = /[\0\p{Cs}]/u;

/** @throws ValidationError that names the first text, however deep, that cannot be stored. */
function requireTexts(path: string, values: object): void {
  // Every request passes here, so no list of entries is made.
  for (const name in values) {
    const value: unknown = values[name as keyof typeof values];
    if (typeof value === 'string') requireText(path, name, value);
    else if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
      requireTexts(path === '' ? name : `${path}.${name}`, value);
    }
  }
}

function requireText(path: string, name: string, text: string): void {
  if (!unstorable.test(text)) return;
  throw new ValidationError(
    path === '' ? name : `${path}.${name}`,
    'A text must not contain the NUL character, or half of a surrogate pair.',
  );
}

SchemaBuilder.registerPlugin(pluginName, ArgumentsPlugin);
