import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  BREAK,
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  TypeInfo,
  type ValueNode,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { findDefinition } from '../command-field.js';
import type { Context } from '../context.js';
import { fieldsOf, fragmentsOf, type Introspection, weighIntrospection } from '../introspection.js';
import { requireWithinLimits } from '../query-limits.js';
import { type CompiledOperation, compileOperation } from './compile-operation.js';

/** A validated document, and what is known about its operations. */
export class PreparedDocument {
  readonly #operations = new Map<string | null, PreparedOperation>();

  constructor(
    readonly schema: GraphQLSchema,
    readonly document: DocumentNode,
  ) {}

  /** The operation with this name. Null if there is none, or if there are several and no name is given. */
  findOperation(name: string | null | undefined): PreparedOperation | null {
    const known = this.#operations.get(name ?? null);
    if (known !== undefined) return known;
    const operation = getOperationAST(this.document, name);
    // Unknown names are not stored: a client can send any number of them.
    if (operation == null) return null;
    const prepared = new PreparedOperation(this.schema, this.document, operation);
    this.#operations.set(name ?? null, prepared);
    return prepared;
  }
}

export class PreparedOperation {
  /** Null if graphql-js has to run this operation. */
  readonly compiled: CompiledOperation | null;
  /** What it asks about the schema; null: nothing. */
  readonly introspection: Introspection | null;
  /**
   * Whether it is what a backend calls for each request of its customers, so that it costs nothing of a
   * budget.
   */
  readonly isPerRequest: boolean;
  readonly #schema: GraphQLSchema;
  /** The document with this operation alone. */
  readonly #document: DocumentNode;
  readonly #hasConstantComplexity: boolean;
  #constantCost: number | null = null;
  #hasRun = false;

  constructor(
    schema: GraphQLSchema,
    document: DocumentNode,
    readonly definition: OperationDefinitionNode,
  ) {
    this.compiled = compileOperation(schema, document, definition);
    this.isPerRequest = isPerRequest(schema, document, definition);
    this.#schema = schema;
    this.#document = {
      ...document,
      definitions: [definition, ...document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION)],
    };
    this.introspection = weighIntrospection(schema, document, definition);
    this.#hasConstantComplexity = hasConstantComplexity(schema, document);
  }

  /** Whether it was within the limits of complexity before, and is so for all variables. */
  get isWithinLimits(): boolean {
    return this.#hasRun && this.#hasConstantComplexity;
  }

  /**
   * The cost with these variables. Null for invalid variables, which graphql-js reports.
   * @throws ValidationError if the operation is above a limit
   */
  weigh(inputs: Readonly<Record<string, unknown>>, context: Context): number | null {
    if (this.#constantCost !== null) return this.#constantCost;
    try {
      const { complexity, depth, breadth } = complexityFromQuery(this.#document, {
        schema: this.#schema,
        variables: inputs,
        ctx: context,
      });
      const cost = complexity + (this.introspection?.cost ?? 0);
      requireWithinLimits({ cost, depth, breadth });
      if (this.#hasConstantComplexity) this.#constantCost = cost;
      return cost;
    } catch (error) {
      if (error instanceof GraphQLError) return null;
      throw error;
    }
  }

  /** To be called after it ran without an error. */
  succeeded(): void {
    this.#hasRun = true;
  }
}

/** Whether all its root fields are mutations without a throttle. */
function isPerRequest(
  schema: GraphQLSchema,
  document: DocumentNode,
  { operation, selectionSet }: OperationDefinitionNode,
): boolean {
  if (operation !== OperationTypeNode.MUTATION) return false;
  const mutations = schema.getMutationType()?.getFields() ?? {};
  return fieldsOf(selectionSet, fragmentsOf(document)).every(({ name: { value } }) => {
    const field = mutations[value];
    return field === undefined || findDefinition(field)?.throttled === false;
  });
}

/** Whether no field has a complexity that depends on a variable. */
function hasConstantComplexity(schema: GraphQLSchema, document: DocumentNode): boolean {
  const types = new TypeInfo(schema);
  let isConstant = true;
  visit(
    document,
    visitWithTypeInfo(types, {
      Field(node) {
        const complexity = types.getFieldDef()?.extensions.complexity;
        if (typeof complexity === 'function' && node.arguments?.some(({ value }) => usesVariable(value))) {
          isConstant = false;
          return BREAK;
        }
        return undefined;
      },
    }),
  );
  return isConstant;
}

function usesVariable(value: ValueNode): boolean {
  let uses = false;
  visit(value, {
    Variable() {
      uses = true;
      return BREAK;
    },
  });
  return uses;
}
