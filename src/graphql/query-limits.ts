import { ValidationError } from '../errors.js';

/** Limits of one operation, as docs/query-limits.md states them. */
export const queryLimits = { cost: 25_000, depth: 16, breadth: 5_000 } as const;

export interface OperationSize {
  readonly cost: number;
  readonly depth: number;
  readonly breadth: number;
}

/** @throws ValidationError for an operation above a limit */
export function requireWithinLimits({ cost, depth, breadth }: OperationSize): void {
  if (depth > queryLimits.depth) throw tooDeep(depth);
  if (breadth > queryLimits.breadth) throw tooBroad(breadth);
  if (cost > queryLimits.cost) throw tooCostly(cost);
}

/** An operation that costs too much: the error states its cost and the limit. */
export function tooCostly(cost: number, isLowerBound = false): ValidationError {
  const stated = isLowerBound ? `at least ${Math.floor(cost)}` : String(Math.ceil(cost));
  return new ValidationError(
    'query',
    `The operation costs ${stated}, and the limit is ${queryLimits.cost}. Select fewer fields, or request smaller pages.`,
  );
}

export function tooDeep(depth: number): ValidationError {
  return new ValidationError(
    'query',
    `The operation is ${depth} levels deep, and the limit is ${queryLimits.depth}. Select fewer levels, or send several operations.`,
  );
}

export function tooBroad(breadth: number): ValidationError {
  return new ValidationError(
    'query',
    `The operation selects ${breadth} fields, and the limit is ${queryLimits.breadth}. Select fewer fields, or send several operations.`,
  );
}
