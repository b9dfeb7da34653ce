import { transaction } from '../../db/transaction.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import type { Workspace } from '../../generated/prisma/client.js';
import { getAccess } from '../access/access.js';
import type { Actor } from '../access/principal.js';
import { recordAudit } from '../audit/record.js';
import type { Deps } from '../deps.js';

export interface SwitchFeature {
  readonly workspaceId: string;
  readonly product: string;
  readonly feature: string;
}

type Switched = Promise<{ workspace: Workspace }>;

/** Switches a feature of a product on for a workspace. Doing it twice is not an error. @throws ValidationError, NotFoundError, ForbiddenError */
export function enableFeature(deps: Deps, actor: Actor, input: SwitchFeature): Switched {
  return switchFeature(deps, actor, input, true);
}

/** As {@link enableFeature}, off. */
export function disableFeature(deps: Deps, actor: Actor, input: SwitchFeature): Switched {
  return switchFeature(deps, actor, input, false);
}

async function switchFeature(deps: Deps, actor: Actor, input: SwitchFeature, enabled: boolean): Switched {
  const product = deps.products.find(input.product);
  if (product === null) throw new ValidationError('input.product', 'There is no product of this name.');
  const declared = Object.hasOwn(product.features, input.feature) ? product.features[input.feature] : undefined;
  if (declared === undefined) {
    throw new ValidationError('input.feature', `The product ${product.slug} has no feature of this name.`);
  }
  const id = { workspaceId: input.workspaceId, product: product.slug, feature: input.feature };
  return transaction(deps.db, async (tx) => {
    const { workspaceId } = await getAccess(tx, actor.principal, input.workspaceId, 'feature:update');
    if (declared.enabledBy === 'OPERATOR' && actor.principal.kind !== 'service') {
      throw new ForbiddenError('feature:update', 'Only the operator switches this feature.');
    }
    const { count } = enabled
      ? await tx.workspaceFeature.createMany({ data: [{ ...id, enabledAt: deps.clock() }], skipDuplicates: true })
      : await tx.workspaceFeature.deleteMany({ where: id });
    if (count > 0) {
      await recordAudit(tx, actor, {
        workspaceId,
        action: enabled ? 'feature.enabled' : 'feature.disabled',
        subjectId: workspaceId,
        before: { product: id.product, feature: id.feature, enabled: !enabled },
        after: { product: id.product, feature: id.feature, enabled },
      });
    }
    return { workspace: await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }) };
  });
}
