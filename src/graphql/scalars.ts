import { GraphQLError, Kind, valueFromASTUntyped } from 'graphql';
import { builder } from './builder.js';

const isoPattern =
  /^(?<day>\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

builder.scalarType('DateTime', {
  description:
    'Date and time in RFC 3339 with an offset, such as 2030-01-31T12:00:00.000Z. Responses are in UTC with milliseconds.',
  specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time.html',
  serialize: (value) => value.toISOString(),
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(node.kind === Kind.STRING ? node.value : undefined),
});

function parseDateTime(value: unknown): Date {
  const day = typeof value === 'string' ? isoPattern.exec(value)?.groups?.day : undefined;
  if (day === undefined || !isDay(day)) {
    throw new GraphQLError('This must be a moment in RFC 3339 with its offset, such as 2030-01-31T12:00:00Z.');
  }
  return new Date(String(value));
}

/** Whether the calendar has this day: JavaScript takes the 31st of February for the 3rd of March. */
function isDay(day: string): boolean {
  const midnight = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}

/** More than any client needs. Code that reads a value later recurses into its levels. */
const jsonDepthMax = 20;

builder.scalarType('JSON', {
  description: `Any JSON value: object, array, string, number, boolean or null, at most ${jsonDepthMax} levels deep.`,
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  serialize: (value) => value,
  parseValue: parseJson,
  parseLiteral: (node, variables) => parseJson(valueFromASTUntyped(node, variables)),
});

function parseJson(value: unknown): unknown {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > jsonDepthMax) throw new GraphQLError(`JSON must be at most ${jsonDepthMax} levels deep.`);
    level = level.flatMap((part) => (typeof part === 'object' && part !== null ? Object.values(part) : []));
  }
  return value;
}
