import {
  BREAK,
  type DocumentNode,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  TypeInfo,
  type ValueNode,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { type Introspection, weighIntrospection } from '../introspection.js';
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
  readonly #hasConstantComplexity: boolean;
  #hasRun = false;

  constructor(
    schema: GraphQLSchema,
    document: DocumentNode,
    readonly definition: OperationDefinitionNode,
  ) {
    this.compiled = compileOperation(schema, document, definition);
    this.introspection = weighIntrospection(schema, document, definition);
    this.#hasConstantComplexity = hasConstantComplexity(schema, document);
  }

  /** Whether it was within the limits of complexity before, and is so for all variables. */
  get isWithinLimits(): boolean {
    return this.#hasRun && this.#hasConstantComplexity;
  }

  /** To be called after it ran without an error. */
  succeeded(): void {
    this.#hasRun = true;
  }
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
