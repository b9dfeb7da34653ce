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
 * An idempotency key covers one mutation: a request with a key and several mutations is refused, because a
 * replay could not tell which of them had succeeded.
 */
export function requireOneKeyedMutation(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const { resolve } = field;
    if (resolve === undefined) continue;
    field.resolve = (parent, args, context: Context, info) =>
      resolve(parent, args, context.idempotency === null ? context : withSelection(context, info), info);
  }
  return schema;
}

/** Adds which fields of the payload the client selects. @throws ValidationError for several mutations */
function withSelection(context: Context, info: GraphQLResolveInfo): Context {
  const { idempotency } = context;
  if (idempotency === null) return context;
  const mutations = fieldsOf(info.operation.selectionSet, info).filter(({ name }) => name.value !== '__typename');
  if (new Set(mutations.map(({ alias, name }) => (alias ?? name).value)).size > 1) {
    throw new ValidationError(
      'Idempotency-Key',
      'An Idempotency-Key covers one mutation, and this document has several. Send each in a request of its own, with its own key.',
    );
  }
  const selected = new Set(
    info.fieldNodes.flatMap(({ selectionSet }) => fieldsOf(selectionSet, info).map(({ name }) => name.value)),
  );
  // The context creates some of its properties lazily, so it cannot be spread.
  const { actor, services, isWithinLimits, introspectionCost, loaders, responseHeaders } = context;
  const { key, onReplay } = idempotency;
  return {
    actor,
    services,
    isWithinLimits,
    introspectionCost,
    loaders,
    responseHeaders,
    budget: context.budget,
    executeQuery: (execute) => context.executeQuery(execute),
    idempotency: { key, onReplay, isSelected: (field) => selected.has(field) },
  };
}

/** The fields of a selection, with those of its fragments and without skipped ones. */
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
