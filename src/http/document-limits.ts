import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  Lexer,
  type ParseOptions,
  parse,
  type SelectionSetNode,
  Source,
  syntaxError,
  TokenKind,
} from 'graphql';
import { ValidationError } from '../errors.js';

/** The longest operations that tools write, introspection among them, have a few hundred tokens. */
const tokensMax = 5_000;
/**
 * Levels of braces, brackets and parentheses. Parser and validation rules are recursive, and a stack is
 * finite.
 */
const nestingMax = 100;
/** With each fragment counted wherever it is spread. */
const selectionsMax = 5_000;
/**
 * How often one response path may be selected. Validation compares fields of the same path pair by pair
 * (GraphQL, 5.3.2): ten thousand selections of one field would block the process for half a minute.
 */
const repetitionsMax = 100;

const opening: ReadonlySet<string> = new Set([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const closing: ReadonlySet<string> = new Set([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

/**
 * Parses a document whose validation is cheap, whatever it selects.
 * @throws GraphQLError for a syntax error, and for a document that is too long or too deeply nested
 * @throws ValidationError for a document that would be expensive to validate
 */
export function parseWithinLimits(text: string | Source, options?: ParseOptions): DocumentNode {
  const source = typeof text === 'string' ? new Source(text) : text;
  requireShallowNesting(source);
  const document = parse(source, { ...options, maxTokens: tokensMax });
  requireFewSelections(document);
  return document;
}

/**
 * The parser calls itself for each level and would overflow its stack at about 2,400. It reads no further
 * than its last token.
 */
function requireShallowNesting(source: Source): void {
  const lexer = new Lexer(source);
  let nesting = 0;
  for (let position = 0; position <= tokensMax; position += 1) {
    const { kind, start } = lexer.advance();
    if (kind === TokenKind.EOF) return;
    if (opening.has(kind)) nesting += 1;
    if (closing.has(kind)) nesting -= 1;
    if (nesting > nestingMax) {
      throw syntaxError(source, start, `The document is nested more than ${nestingMax} levels deep.`);
    }
  }
}

/** A response path: how often it is selected, and the paths below it. */
interface ResponsePath {
  readonly children: Map<string, ResponsePath>;
  selections: number;
}

function requireFewSelections({ definitions }: DocumentNode): void {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const spreading = new Set<string>();
  const reached = new Set<string>();
  let selections = 0;

  function visit({ selections: set }: SelectionSetNode, path: ResponsePath, depth: number): void {
    if (depth > nestingMax) throw tooExpensive(`is nested more than ${nestingMax} levels deep`);
    for (const selection of set) {
      selections += 1;
      if (selections > selectionsMax) throw tooExpensive(`selects more than ${selectionsMax} fields`);
      switch (selection.kind) {
        case Kind.INLINE_FRAGMENT:
          visit(selection.selectionSet, path, depth + 1);
          break;
        case Kind.FRAGMENT_SPREAD: {
          const name = selection.name.value;
          const fragment = fragments.get(name);
          // Validation reports unknown fragments and cycles.
          if (fragment === undefined || spreading.has(name)) break;
          spreading.add(name);
          reached.add(name);
          visit(fragment.selectionSet, path, depth + 1);
          spreading.delete(name);
          break;
        }
        case Kind.FIELD: {
          const child = selectPath(path, (selection.alias ?? selection.name).value);
          if (selection.selectionSet !== undefined) visit(selection.selectionSet, child, depth + 1);
        }
      }
    }
  }

  for (const definition of definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) visit(definition.selectionSet, emptyPath(), 0);
  }
  // Validation also checks fragments that no operation uses.
  for (const [name, { selectionSet }] of fragments) {
    if (!reached.has(name)) visit(selectionSet, emptyPath(), 0);
  }
}

function emptyPath(): ResponsePath {
  return { children: new Map(), selections: 0 };
}

function selectPath(parent: ResponsePath, name: string): ResponsePath {
  const path = parent.children.get(name) ?? emptyPath();
  path.selections += 1;
  if (path.selections > repetitionsMax) {
    throw tooExpensive(`selects "${name}" more than ${repetitionsMax} times at one path`);
  }
  parent.children.set(name, path);
  return path;
}

function tooExpensive(what: string): ValidationError {
  return new ValidationError('query', `The document ${what}. Select less in one request.`);
}
