import type { InputObjectRef, ObjectRef } from '@pothos/core';
import type { Command, MutationDefinition } from '../domain/commands/define-command.js';
import { FieldError } from '../errors.js';
import { builder } from './builder.js';
import type { Context } from './context.js';
import type { CommandServices } from './services.js';

type Types = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer SchemaTypes> ? SchemaTypes : never;

type ErrorClass = new (...parameters: never[]) => Error;

export interface CommandFieldOptions<Input, Result> {
  readonly description: string;
  readonly input: InputObjectRef<Types, Input>;
  readonly inputDescription: string;
  readonly payload: ObjectRef<Types, Result>;
  /** The expected failures that become members of the result union. */
  readonly errors: readonly ErrorClass[];
}

/**
 * Adds a command as a field of `Mutation` with one argument `input`. Permission, throttle and audit come
 * from the command.
 */
export function commandField<Input, Subject, Result extends object>(
  command: Command<Input, Subject, Result, CommandServices>,
  { description, input, inputDescription, payload, errors }: CommandFieldOptions<Input, Result>,
): void {
  builder.mutationField(command.name, (t) =>
    t.field({
      type: payload,
      description,
      authScopes: { permission: command.permissionToCall ?? command.permission },
      mutation: command,
      recordRefusal: ({ actor, services }, args) =>
        services.commands.recordRefusal(command, actor, (args as { input: Input }).input, 'FORBIDDEN'),
      args: { input: t.arg({ type: input, required: true, description: inputDescription }) },
      errors: { types: [...errors] },
      // Pothos cannot infer the shapes of references whose types are parameters.
      resolve: createResolver(command) as never,
    }),
  );
}

function createResolver<Input, Subject, Result extends object>(
  command: Command<Input, Subject, Result, CommandServices>,
) {
  return (_root: unknown, { input }: { input: Input }, { actor, idempotency, services }: Context): Promise<Result> =>
    services.commands.run(command, { actor, idempotency }, input).catch(throwWithin('input'));
}

/**
 * Rethrows an error with the path of the argument before the name of the field: `name` becomes `input.name`.
 */
export function throwWithin(path: string): (error: unknown) => never {
  return (error) => {
    throw error instanceof FieldError ? error.within(path) : error;
  };
}

/** The definition of a mutation, from the Pothos options of its field; null: none. */
export function findDefinition({ extensions }: { extensions: Readonly<Record<string, unknown>> }) {
  const options = extensions.pothosOptions;
  return typeof options === 'object' && options !== null && 'mutation' in options
    ? (options.mutation as MutationDefinition)
    : null;
}
