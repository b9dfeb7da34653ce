import { ForbiddenError, ValidationError } from '../../errors.js';
import type { Workspace } from '../../generated/prisma/client.js';
import type { Products } from '../../products/product.js';
import type { Access } from '../access/access.js';
import { type CommandContext, defineCommand } from '../commands/define-command.js';
import { workspaceScope } from './scopes.js';

export interface SwitchFeatureInput {
  readonly workspaceId: string;
  readonly product: string;
  readonly feature: string;
}

/**
 * Enables a feature of a product for a workspace. Enabling it again is not an error.
 * @throws ValidationError, NotFoundError, ForbiddenError
 */
export const enableFeature = defineCommand({
  name: 'enableFeature',
  permission: 'feature:update',
  scope: workspaceScope,
  audit: { done: 'feature.enabled', refused: 'feature.enable.refused' },
  shownOnce: null,
  throttled: true,
  run: (context, input: SwitchFeatureInput, access) => switchFeature(context, input, access, true),
});

/** Disables a feature of a product for a workspace; see {@link enableFeature}. */
export const disableFeature = defineCommand({
  name: 'disableFeature',
  permission: 'feature:update',
  scope: workspaceScope,
  audit: { done: 'feature.disabled', refused: 'feature.disable.refused' },
  shownOnce: null,
  throttled: true,
  run: (context, input: SwitchFeatureInput, access) => switchFeature(context, input, access, false),
});

async function switchFeature(
  { tx, actor, clock, products, audit }: CommandContext,
  input: SwitchFeatureInput,
  { workspaceId }: Access,
  enabled: boolean,
): Promise<{ workspace: Workspace }> {
  const { product, enabledBy } = getFeature(products, input);
  if (enabledBy === 'OPERATOR' && actor.principal.kind !== 'service') {
    throw new ForbiddenError('feature:update', 'Only the operator can enable or disable this feature.');
  }
  const id = { workspaceId, product, feature: input.feature };
  const { count } = enabled
    ? await tx.workspaceFeature.createMany({ data: [{ ...id, enabledAt: clock() }], skipDuplicates: true })
    : await tx.workspaceFeature.deleteMany({ where: id });
  if (count > 0) {
    audit({
      subjectId: workspaceId,
      before: { product, feature: id.feature, enabled: !enabled },
      after: { product, feature: id.feature, enabled },
    });
  }
  return { workspace: await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }) };
}

/** @throws ValidationError for a product or a feature that does not exist */
function getFeature(products: Products, input: SwitchFeatureInput) {
  const product = products.find(input.product);
  if (product === null)
    throw new ValidationError(
      'product',
      `Unknown product. Use one of: ${products.all.map(({ slug }) => slug).join(', ')}.`,
    );
  const feature = Object.hasOwn(product.features, input.feature) ? product.features[input.feature] : undefined;
  if (feature === undefined) {
    throw new ValidationError('feature', `The product ${product.slug} has no feature of this name.`);
  }
  return { product: product.slug, enabledBy: feature.enabledBy };
}
