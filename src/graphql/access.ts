import SchemaBuilder, {
  BasePlugin,
  type FieldNullability,
  type InputFieldMap,
  type PothosOutputFieldConfig,
  type SchemaTypes,
  type TypeParam,
} from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import type { Permission } from '../domain/access/permissions.js';
import { mayHold, type Principal } from '../domain/access/principal.js';
import type { MutationDefinition } from '../domain/commands/define-command.js';
import { ForbiddenError, UnauthenticatedError } from '../errors.js';
import type { Products } from '../products/product.js';
import type { Context } from './context.js';

const pluginName = 'access';
export default pluginName;

/**
 * Who may select a field: every caller, or principals that can hold a permission in some workspace. The
 * domain decides whether they hold it in the workspace of the request.
 */
export type AuthScopes = { readonly public: true } | { readonly permission: Permission };

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      access: AccessPlugin<Types>;
    }
    export interface FieldOptions<
      Types extends SchemaTypes,
      ParentShape,
      Type extends TypeParam<Types>,
      Nullable extends FieldNullability<Type>,
      Args extends InputFieldMap,
      ResolveShape,
      ResolveReturnShape,
    > {
      authScopes?: AuthScopes;
      /** The definition of a mutation. Each field of `Mutation` has one. */
      mutation?: MutationDefinition;
      /** Records that the mutation was refused to a known principal. */
      recordRefusal?: (context: Context, args: object) => void;
    }
  }
}

/**
 * Refuses fields to principals that cannot hold their permission. It runs outside the errors plugin, so that
 * such a refusal never becomes a member of a result. It stores nothing per request: the plugin of Pothos
 * stores a WeakMap entry per context, which lives until the next full garbage collection.
 */
export class AccessPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolve: GraphQLFieldResolver<unknown, Types['Context'], object>,
    { pothosOptions }: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    const { authScopes, recordRefusal } = pothosOptions as {
      authScopes?: AuthScopes;
      recordRefusal?: (context: Context, args: object) => void;
    };
    if (authScopes === undefined || 'public' in authScopes) return resolve;
    const { permission } = authScopes;
    return (parent, args, context, info) => {
      const { actor, services } = context as Context;
      if (!mayHold(actor.principal, permission)) {
        recordRefusal?.(context as Context, args);
        throw refusal(actor.principal, services.products, `${info.parentType.name}.${info.fieldName}`);
      }
      return resolve(parent, args, context, info);
    };
  }
}

function refusal(principal: Principal, products: Products, field: string): Error {
  if (principal.kind === 'anonymous') {
    const { message, code } = products.primary.wording.MISSING_CREDENTIAL;
    return new UnauthenticatedError(message, code);
  }
  const product = principal.kind === 'apiKey' ? products.find(principal.product) : null;
  if (product !== null) {
    const { message, code } = product.wording.FORBIDDEN;
    return new ForbiddenError('', message, code);
  }
  return new ForbiddenError('', `This credential may not use ${field}.`);
}

SchemaBuilder.registerPlugin(pluginName, AccessPlugin);
