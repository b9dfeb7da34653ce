import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.js';
import { findDefinition } from './command-field.js';
import { describeGenerated } from './describe-generated.js';
import { requireOneKeyedMutation } from './one-keyed-mutation.js';
import { throttleMutations } from './throttle.js';
import './scalars.js';
import './errors.js';
import './nodes.js';
import './viewer.js';
import './budget.js';
import './workspace.js';
import './member.js';
import './api-key/types.js';
import './api-key/mutations.js';
import './credit.js';
import './charge.js';
import './verification.js';
import './product.js';
import './audit.js';
import './authentication-failure.js';
import './usage.js';
import './webhook/types.js';
import './webhook/mutations.js';

export interface SchemaOptions {
  /** How often a principal may call one management mutation in a minute. */
  readonly mutationsPerMinute: number;
}

/** The schema as it runs. @throws Error for a root field that does not say who may call it. */
export function buildSchema({ mutationsPerMinute }: SchemaOptions): GraphQLSchema {
  const schema = describeGenerated(builder.toSchema());
  requireAuthScopes(schema);
  requireDefinitions(schema);
  return requireOneKeyedMutation(throttleMutations(schema, mutationsPerMinute));
}

/** The default is refusal: a root field without a declaration does not start. */
function requireAuthScopes(schema: GraphQLSchema): void {
  for (const type of [schema.getQueryType(), schema.getMutationType()]) {
    for (const field of Object.values(type?.getFields() ?? {})) {
      if (declaredAuthScopes(field) === undefined)
        throw new Error(`${type?.name}.${field.name} does not say who may call it.`);
    }
  }
}

/** A mutation without a definition would be neither throttled nor audited, so the server does not start. */
function requireDefinitions(schema: GraphQLSchema): void {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    if (findDefinition(field)?.name !== field.name) throw new Error(`Mutation.${field.name} has no definition.`);
  }
}

/** What a root field declares about who may call it, as Pothos keeps it. */
export function declaredAuthScopes({ extensions }: { extensions: Readonly<Record<string, unknown>> }): unknown {
  const options = extensions.pothosOptions;
  return typeof options === 'object' && options !== null && 'authScopes' in options ? options.authScopes : undefined;
}
