import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isType,
  isWrappingType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import type { Principal } from '../domain/access/principal.js';
import { ForbiddenError, UnauthenticatedError } from '../errors.js';
import type { IntrospectionAccess } from '../settings.js';
import { queryLimits } from './query-limits.js';

/** What an operation asks about the schema. */
export interface Introspection {
  /** One fifth of the number of values in the answer, in which long texts count several times. */
  readonly cost: number;
  /** Whether the cost is at least this: weighing ends far above the limit. */
  readonly isLowerBound: boolean;
  /** Whether the answer is the same for every request, so that it can be cached. */
  readonly isConstant: boolean;
}

const valuesPerCost = 5;
/** Descriptions are the longest texts. The others have fewer characters. */
const charactersPerValue = 20;
/** Each step is at least one value of the answer, so an answer with more steps is above the limit. */
const stepsMax = 2 * queryLimits.cost * valuesPerCost;

/**
 * Weighs what an operation asks about the schema by its answer, which is known in advance. Null: nothing.
 * The operation is valid.
 */
export function weighIntrospection(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): Introspection | null {
  const fragments = fragmentsOf(document);
  const roots = fieldsOf(operation.selectionSet, fragments);
  const metaFields = roots.filter(({ name: { value } }) => value === '__schema' || value === '__type');
  if (metaFields.length === 0) return null;
  const isConstant =
    roots.every(({ name }) => name.value.startsWith('__')) && (operation.variableDefinitions ?? []).length === 0;
  const answer = new Answer(schema, fragments);
  try {
    let values = 0;
    for (const field of metaFields) values += answer.countRoot(field);
    return { cost: values / valuesPerCost, isLowerBound: false, isConstant };
  } catch (error) {
    if (!(error instanceof TooManyValues)) throw error;
    return { cost: stepsMax / valuesPerCost, isLowerBound: true, isConstant };
  }
}

class TooManyValues extends Error {}

/** Counts the values of an answer, and each part that is selected several times only once. */
class Answer {
  readonly #known = new Map<SelectionSetNode, Map<object, number>>();
  readonly #fieldsBySet = new Map<SelectionSetNode, readonly FieldNode[]>();
  #steps = 0;

  constructor(
    readonly schema: GraphQLSchema,
    readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  ) {}

  countRoot({ name, arguments: args = [], selectionSet }: FieldNode): number {
    if (selectionSet === undefined) return 1;
    if (name.value === '__schema') return this.#count(selectionSet, this.schema);
    const named = args[0]?.value;
    if (named?.kind === Kind.STRING) {
      const type = this.schema.getType(named.value);
      return type === undefined ? 1 : this.#count(selectionSet, type);
    }
    // A variable can name any type.
    return Math.max(...Object.values(this.schema.getTypeMap()).map((type) => this.#count(selectionSet, type)));
  }

  #count(set: SelectionSetNode, value: object): number {
    const known = this.#known.get(set) ?? new Map<object, number>();
    this.#known.set(set, known);
    let count = known.get(value);
    if (count !== undefined) return count;
    count = 0;
    for (const field of this.#fieldsOf(set)) {
      this.#steps += 1;
      if (this.#steps > stepsMax) throw new TooManyValues();
      const { selectionSet } = field;
      count += countText(value, field.name.value);
      if (selectionSet === undefined) continue;
      for (const part of partsOf(this.schema, value, field.name.value)) count += this.#count(selectionSet, part);
    }
    known.set(value, count);
    return count;
  }

  #fieldsOf(set: SelectionSetNode): readonly FieldNode[] {
    const fields = this.#fieldsBySet.get(set) ?? fieldsOf(set, this.fragments);
    this.#fieldsBySet.set(set, fields);
    return fields;
  }
}

/** How many values a scalar counts as: one, and more for long texts. */
function countText(value: object, field: string): number {
  const text = field in value ? (value as Record<string, unknown>)[field] : undefined;
  return typeof text === 'string' ? 1 + Math.floor(text.length / charactersPerValue) : 1;
}

/** The objects that a field of the introspection schema returns (GraphQL, 4.2). */
function partsOf(schema: GraphQLSchema, value: object, field: string): readonly object[] {
  const present = (part: object | null | undefined) => (part == null ? [] : [part]);
  switch (field) {
    case 'types':
      return Object.values(schema.getTypeMap());
    case 'directives':
      return schema.getDirectives();
    case 'queryType':
      return present(schema.getQueryType());
    case 'mutationType':
      return present(schema.getMutationType());
    case 'subscriptionType':
      return present(schema.getSubscriptionType());
    case 'args':
      return 'args' in value ? (value.args as readonly object[]) : [];
    case 'type':
      return 'type' in value ? [value.type as object] : [];
    default:
      return isType(value) ? partsOfType(schema, value, field) : [];
  }
}

function partsOfType(schema: GraphQLSchema, type: object, field: string): readonly object[] {
  switch (field) {
    case 'ofType':
      return isWrappingType(type) ? [type.ofType] : [];
    case 'fields':
      return isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];
    case 'inputFields':
      return isInputObjectType(type) ? Object.values(type.getFields()) : [];
    case 'interfaces':
      return isObjectType(type) || isInterfaceType(type) ? type.getInterfaces() : [];
    case 'possibleTypes':
      return isAbstractType(type) ? schema.getPossibleTypes(type) : [];
    case 'enumValues':
      return isEnumType(type) ? type.getValues() : [];
    default:
      return [];
  }
}

/** The fragments of a document, by name. */
export function fragmentsOf({ definitions }: DocumentNode): ReadonlyMap<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  return fragments;
}

/** The fields of a selection, with those of its fragments. */
export function fieldsOf(
  { selections }: SelectionSetNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): FieldNode[] {
  return selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection];
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
    return fragment === undefined ? [] : fieldsOf(fragment.selectionSet, fragments);
  });
}

/**
 * Whether a principal may introspect the schema.
 * @throws ForbiddenError, UnauthenticatedError
 */
export function requireIntrospection(access: IntrospectionAccess, principal: Principal): void {
  if (access === 'off') {
    throw new ForbiddenError('', 'Introspection is disabled on this server. Generate types from its schema.graphql.');
  }
  if (access === 'authenticated' && principal.kind === 'anonymous') {
    throw new UnauthenticatedError('Introspection needs a credential on this server. Send one, and try again.');
  }
}
