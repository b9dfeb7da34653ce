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

/** The longest operations that tools write, introspection among them, have a few hundred. */
const tokensMax = 5_000;
/** Braces in brackets in parentheses. Reading and checking a document descend into it, on a stack that ends. */
const nestingMax = 100;
/** With each fragment counted wherever it is spread. */
const selectionsMax = 5_000;
/**
 * How often one place of the answer may be asked for. Whether fields can be merged is checked pair by pair
 * (GraphQL, 5.3.2): ten thousand times the same field would keep a process busy for half a minute, for anybody.
 */
const repetitionsMax = 100;

const opening: ReadonlySet<string> = new Set([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const closing: ReadonlySet<string> = new Set([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

/**
 * Parses a document that costs little to check, whatever it asks for.
 * @throws GraphQLError for what is not GraphQL, or too long or nested to be read
 * @throws ValidationError for what would be too much to check
 */
export function parseWithinLimits(text: string | Source, options?: ParseOptions): DocumentNode {
  const source = typeof text === 'string' ? new Source(text) : text;
  requireFewTokens(source);
  const document = parse(source, options);
  requireFewSelections(document);
  return document;
}

function requireFewTokens(source: Source): void {
  const lexer = new Lexer(source);
  let tokens = 0;
  let nesting = 0;
  for (let token = lexer.advance(); token.kind !== TokenKind.EOF; token = lexer.advance()) {
    tokens += 1;
    if (opening.has(token.kind)) nesting += 1;
    if (closing.has(token.kind)) nesting -= 1;
    if (tokens > tokensMax) {
      throw syntaxError(source, token.start, `The document has more than ${tokensMax} tokens.`);
    }
    if (nesting > nestingMax) {
      throw syntaxError(source, token.start, `The document is nested more than ${nestingMax} levels deep.`);
    }
  }
}

/** A place of the answer: how often it is asked for, and the places in it. */
interface Place {
  readonly fields: Map<string, Place>;
  times: number;
}

function requireFewSelections({ definitions }: DocumentNode): void {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const spreading = new Set<string>();
  const reached = new Set<string>();
  let selections = 0;

  function visit({ selections: set }: SelectionSetNode, place: Place, depth: number): void {
    if (depth > nestingMax) throw tooMuch(`is nested more than ${nestingMax} levels deep`);
    for (const selection of set) {
      selections += 1;
      if (selections > selectionsMax) throw tooMuch(`selects more than ${selectionsMax} fields`);
      switch (selection.kind) {
        case Kind.INLINE_FRAGMENT:
          visit(selection.selectionSet, place, depth + 1);
          break;
        case Kind.FRAGMENT_SPREAD: {
          const name = selection.name.value;
          const fragment = fragments.get(name);
          // One that contains itself, or does not exist, is for the validation to explain.
          if (fragment === undefined || spreading.has(name)) break;
          spreading.add(name);
          reached.add(name);
          visit(fragment.selectionSet, place, depth + 1);
          spreading.delete(name);
          break;
        }
        case Kind.FIELD: {
          const inner = findPlace(place, (selection.alias ?? selection.name).value);
          if (selection.selectionSet !== undefined) visit(selection.selectionSet, inner, depth + 1);
        }
      }
    }
  }

  for (const definition of definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) visit(definition.selectionSet, emptyPlace(), 0);
  }
  // A fragment that no operation reaches is checked by the validation all the same.
  for (const [name, { selectionSet }] of fragments) {
    if (!reached.has(name)) visit(selectionSet, emptyPlace(), 0);
  }
}

function emptyPlace(): Place {
  return { fields: new Map(), times: 0 };
}

function findPlace(outer: Place, name: string): Place {
  const place = outer.fields.get(name) ?? emptyPlace();
  place.times += 1;
  if (place.times > repetitionsMax) throw tooMuch(`asks for "${name}" more than ${repetitionsMax} times in one place`);
  outer.fields.set(name, place);
  return place;
}

function tooMuch(what: string): ValidationError {
  return new ValidationError('query', `The document ${what}. Ask for less at once.`);
}
