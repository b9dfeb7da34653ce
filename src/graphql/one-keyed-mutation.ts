import {
  type FieldNode,
  GraphQLIncludeDirective,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { ValidationError } from '../errors.js';
import type { Context } from './context.js';

/**
 * One idempotency key stands for one mutation: of several, nobody could say which one it repeats. A request without a key passes through
 * here without a delay.
 */
export function keepToOneKeyedMutation(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const { resolve } = field;
    if (resolve === undefined) continue;
    field.resolve = (parent, args, context: Context, info) =>
      resolve(parent, args, context.actor.idempotency == null ? context : withSelection(context, info), info);
  }
  return schema;
}

/** Says what the client asks for, so that a secret which is gone is missed only by those who ask for it. @throws ValidationError */
function withSelection(context: Context, info: GraphQLResolveInfo): Context {
  const { idempotency } = context.actor;
  if (idempotency == null) return context;
  const mutations = fieldsOf(info.operation.selectionSet, info).filter(({ name }) => name.value !== '__typename');
  if (new Set(mutations.map(({ alias, name }) => (alias ?? name).value)).size > 1) {
    throw new ValidationError(
      'Idempotency-Key',
      'An Idempotency-Key stands for one mutation, and this document has several. Send each by itself, with a key of its own.',
    );
  }
  const asked = new Set(
    info.fieldNodes.flatMap(({ selectionSet }) => fieldsOf(selectionSet, info).map(({ name }) => name.value)),
  );
  // A context makes some of its parts only when they are asked for, so it cannot be spread.
  const { deps, domain, isWeighed, loaders, responseHeaders } = context;
  const actor = { ...context.actor, idempotency: { ...idempotency, asks: (part: string) => asked.has(part) } };
  return { deps, domain, isWeighed, loaders, responseHeaders, actor };
}

/** The fields of a selection, those of its fragments included and those that are skipped left out. */
function fieldsOf(selectionSet: SelectionSetNode | undefined, info: GraphQLResolveInfo): FieldNode[] {
  return (selectionSet?.selections ?? []).flatMap((selection) => {
    if (isSkipped(selection, info)) return [];
    if (selection.kind === Kind.FIELD) return [selection];
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? info.fragments[selection.name.value] : selection;
    return fieldsOf(fragment?.selectionSet, info);
  });
}

function isSkipped(selection: SelectionNode, { variableValues }: GraphQLResolveInfo): boolean {
  const skip = getDirectiveValues(GraphQLSkipDirective, selection, variableValues);
  const include = getDirectiveValues(GraphQLIncludeDirective, selection, variableValues);
  return skip?.if === true || include?.if === false;
}
