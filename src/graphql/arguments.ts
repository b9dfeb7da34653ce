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
      /** Skips the validation of texts: the resolver ignores texts that do not have the form of an id. */
      takesAnyText?: boolean;
    }
  }
}

/**
 * Validates the arguments of every field: text that PostgreSQL cannot store and page sizes out of range are
 * refused. It runs inside the errors plugin, so that the refusal is a member of the result union, if there
 * is one.
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

/**
 * Lists that were checked. Every alias of a request gets the same list of a variable, and one of a megabyte
 * takes 30 ms to check.
 */
const checkedLists = new WeakSet<object>();
/** Minimum length of a remembered list. Checking a shorter list again costs less than remembering it. */
const rememberedLengthMin = 100;

/** @throws ValidationError that names the first text, however deep, that cannot be stored. */
function requireTexts(path: string, values: object): void {
  if (Array.isArray(values)) {
    requireTextsOfList(path, values);
    return;
  }
  // This runs for every request, so it allocates no list of entries.
  for (const name in values) requireStorable(path, name, values[name as keyof typeof values]);
}

function requireTextsOfList(path: string, values: readonly unknown[]): void {
  if (checkedLists.has(values)) return;
  values.forEach((value, index) => {
    requireStorable(path, index, value);
  });
  if (values.length >= rememberedLengthMin) checkedLists.add(values);
}

function requireStorable(path: string, name: string | number, value: unknown): void {
  if (typeof value === 'string') {
    if (!isStorable(value)) throw new ValidationError(join(path, name), unstorable);
  } else if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    requireTexts(join(path, name), value);
  }
}

/** PostgreSQL cannot store NUL. Half of a surrogate pair would be replaced by another character. */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

const unstorable = 'Text must not contain the NUL character or half of a surrogate pair.';

function join(path: string, name: string | number): string {
  return path === '' ? String(name) : `${path}.${name}`;
}

SchemaBuilder.registerPlugin(pluginName, ArgumentsPlugin);
