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
import { findPlainRun, type RunPlainly } from '../graphql/plain/operation.js';

/** A document that was found valid, and what was found out about it meanwhile. */
export class PreparedDocument {
  readonly #operations = new Map<string | null, PreparedOperation>();

  constructor(
    readonly schema: GraphQLSchema,
    readonly document: DocumentNode,
  ) {}

  /** The operation that a request names; null where the document has no such one, or several and none is named. */
  findOperation(name: string | null | undefined): PreparedOperation | null {
    const known = this.#operations.get(name ?? null);
    if (known !== undefined) return known;
    const operation = getOperationAST(this.document, name);
    // What is not there is not remembered: anybody can make up names.
    if (operation == null) return null;
    const prepared = new PreparedOperation(this.schema, this.document, operation);
    this.#operations.set(name ?? null, prepared);
    return prepared;
  }
}

export class PreparedOperation {
  readonly isSubscription: boolean;
  /** How to run it without the executor; null where it takes one. */
  readonly runPlainly: RunPlainly | null;
  readonly #weighsTheSame: boolean;
  #hasRun = false;

  constructor(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) {
    this.isSubscription = operation.operation === 'subscription';
    this.runPlainly = findPlainRun(schema, document, operation);
    this.#weighsTheSame = weighsTheSame(schema, document);
  }

  /** Whether it was found to be within the limits of queries before, and is so whatever its variables say. */
  get isWeighed(): boolean {
    return this.#hasRun && this.#weighsTheSame;
  }

  /** To be said when it ran without an error. */
  hasRun(): void {
    this.#hasRun = true;
  }
}

/** Whether what a document weighs does not depend on variables: no field whose weight depends on its arguments takes one. */
function weighsTheSame(schema: GraphQLSchema, document: DocumentNode): boolean {
  const types = new TypeInfo(schema);
  let isSame = true;
  visit(
    document,
    visitWithTypeInfo(types, {
      Field(node) {
        const weight = types.getFieldDef()?.extensions.complexity;
        if (typeof weight === 'function' && node.arguments?.some(({ value }) => usesVariable(value))) isSame = false;
      },
    }),
  );
  return isSame;
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
