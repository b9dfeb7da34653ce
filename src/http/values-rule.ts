import {
  GraphQLError,
  getNamedType,
  isEnumType,
  isInputObjectType,
  Kind,
  type ValidationContext,
  type ValidationRule,
  ValuesOfCorrectTypeRule,
} from 'graphql';

/**
 * graphql-js' check of the literals of a document (GraphQL, 5.6.1), whose errors quote the literal. It can be
 * a credential in the wrong position, so these errors say only what is expected.
 */
export const valuesRule: ValidationRule = (context) =>
  ValuesOfCorrectTypeRule(
    Object.create(context, {
      reportError: { value: (error: GraphQLError) => context.reportError(withoutValue(error, context)) },
    }) as ValidationContext,
  );

function withoutValue(error: GraphQLError, context: ValidationContext): GraphQLError {
  const [node] = error.nodes ?? [];
  const type = context.getInputType();
  // Errors of this server's scalars have no node and quote nothing.
  if (node === undefined || type == null) return error;
  const namedType = getNamedType(type);
  // These name fields of input objects: missing, unknown, or one too many.
  if (node.kind === Kind.OBJECT_FIELD || (node.kind === Kind.OBJECT && isInputObjectType(namedType))) return error;
  const values = isEnumType(namedType)
    ? `, one of: ${namedType
        .getValues()
        .map(({ name }) => name)
        .join(', ')}`
    : '';
  return new GraphQLError(`Expected a value of type "${type}"${values}.`, { nodes: node });
}
