import { z } from 'zod';
import { findNearest } from './nearest.js';
import { productSchema } from './product.js';

/** One error in a product file. */
export interface Mistake {
  /** Path of the field; empty for the file as a whole. */
  readonly path: readonly PropertyKey[];
  /** The rest of a sentence that begins with the field, such as "must be at least 24". */
  readonly problem: string;
}

/** Turns zod's issues into messages for the author of the file. `value` is the content of the file. */
export function explainIssues(issues: readonly z.core.$ZodIssue[], value: unknown): Mistake[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...issue.path, key], problem: explainUnknown(key) }));
    }
    return [{ path: issue.path, problem: explain(issue, find(value, issue.path)) }];
  });
}

function explain(issue: z.core.$ZodIssue, found: unknown): string {
  switch (issue.code) {
    case 'invalid_type': {
      const expected = kinds[issue.expected] ?? issue.expected;
      if (found === undefined) return `is missing: it must be ${expected}`;
      const quotes = issue.expected === 'string' && typeof found !== 'object' ? ' (put it in quotes)' : '';
      return `must be ${expected}, not ${kindOf(found)}${quotes}`;
    }
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}`;
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options)
        ? `must be ${oneOf(issue.options)}`
        : 'has an invalid form';
    case 'too_small':
      return `must ${measures[issue.origin] ?? 'be'} at least ${issue.minimum}${units[issue.origin] ?? ''}`;
    case 'too_big':
      return `must ${measures[issue.origin] ?? 'be'} at most ${issue.maximum}${units[issue.origin] ?? ''}`;
    case 'invalid_key':
      return `is not a valid name: it ${issue.issues[0]?.message ?? 'has an invalid form'}`;
    default:
      // The messages of our own rules in product.ts are written to follow the field's name.
      return issue.message;
  }
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of fields',
  record: 'a mapping of names',
};
const measures: Readonly<Record<string, string>> = { string: 'have', array: 'have' };
const units: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' };

function kindOf(found: unknown): string {
  if (found === null) return 'empty';
  if (Array.isArray(found)) return 'a list';
  if (typeof found === 'object') return 'a mapping';
  if (typeof found === 'string') return 'text';
  if (Number.isInteger(found)) return 'a number';
  if (Number.isFinite(found)) return 'a number with a fraction';
  return String(found);
}

function oneOf(values: readonly unknown[]): string {
  const names = values.map(String);
  const last = names.pop() ?? '';
  return names.length === 0 ? last : `${names.join(', ')} or ${last}`;
}

function find(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
    found = Reflect.get(found, step);
  }
  return found;
}

function explainUnknown(key: string): string {
  const nearest = findNearest(key, fieldNames());
  return nearest === null ? 'is not a field of a product file' : `is not a field here: did you mean ${nearest}?`;
}

let knownFieldNames: ReadonlySet<string> | null = null;

/** The names of all fields of a product file, at all levels. */
function fieldNames(): ReadonlySet<string> {
  knownFieldNames ??= new Set(propertiesOf(z.toJSONSchema(productSchema, { io: 'input', unrepresentable: 'any' })));
  return knownFieldNames;
}

function propertiesOf(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => [
    ...(key === 'properties' && typeof value === 'object' && value !== null ? Object.keys(value) : []),
    ...propertiesOf(value),
  ]);
}
