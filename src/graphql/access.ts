import SchemaBuilder, {
  BasePlugin,
  type FieldNullability,
  type InputFieldMap,
  type PothosOutputFieldConfig,
  type SchemaTypes,
  type TypeParam,
} from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { mayHold, type Permission } from '../domain/access/permissions.js';
import type { Principal } from '../domain/access/principal.js';
import type { Deps } from '../domain/deps.js';
import { ForbiddenError, UnauthenticatedError } from '../errors.js';
import type { Context } from './context.js';

const pluginName = 'access';
export default pluginName;

/** Who may ask for a field: everybody, the anonymous included, or principals that can hold a permission in some workspace. The domain decides about the one at hand. */
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
    }
  }
}

/**
 * Lets through to a field those who may ask for it. It stands before the errors plugin, so that a refusal never becomes a member of a
 * result. The permission is all that is looked at, so nothing is kept per request: what Pothos's own plugin keeps in a WeakMap under
 * each context outlives the request there until the next full collection.
 */
export class AccessPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolve: GraphQLFieldResolver<unknown, Types['Context'], object>,
    { pothosOptions }: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    const { authScopes } = pothosOptions as { authScopes?: AuthScopes };
    if (authScopes === undefined || 'public' in authScopes) return resolve;
    const { permission } = authScopes;
    return (parent, args, context, info) => {
      const { actor, deps } = context as Context;
      if (!mayHold(actor.principal, permission))
        throw refusal(actor.principal, deps, `${info.parentType.name}.${info.fieldName}`);
      return resolve(parent, args, context, info);
    };
  }
}

function refusal(principal: Principal, { products }: Pick<Deps, 'products'>, field: string): Error {
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
