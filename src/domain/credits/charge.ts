import { newId } from '../../db/ids.js';
import type { Tx } from '../../db/transaction.js';
import type { ApiKey, Charge } from '../../generated/prisma/client.js';
import type { Product } from '../../products/product.js';
import { lockAccount, moveCredits, type Posting, writeEntry } from './ledger.js';
import { decidePrice } from './price.js';

export interface ChargeRequest {
  readonly action: string;
  readonly quantity: number;
  readonly hold: boolean;
  readonly idempotencyKey: string | null;
}

export type ChargeOutcome = { readonly charge: Charge; readonly replayed: boolean } | { readonly insufficient: true };

/**
 * Takes or holds the credits of one action. With an idempotency key it happens once per workspace, and a repetition returns the
 * original whatever else it says, even an action that does not exist.
 * @throws ValidationError for an unknown action or an impossible quantity
 */
export async function chargeKey(
  tx: Tx,
  product: Product,
  key: Pick<ApiKey, 'id' | 'workspaceId' | 'environment'>,
  request: ChargeRequest,
  now: Date,
): Promise<ChargeOutcome> {
  const { workspaceId } = key;
  const { action, quantity, hold, idempotencyKey } = request;
  await lockAccount(tx, workspaceId);
  if (idempotencyKey !== null) {
    const original = await tx.charge.findUnique({
      where: { workspaceId_idempotencyKey: { workspaceId, idempotencyKey } },
    });
    if (original !== null) return { charge: original, replayed: true };
  }
  const { credits } = decidePrice(product, key.environment, action, quantity);
  const chargeId = newId('charge');
  const posting: Posting = {
    workspaceId,
    kind: hold ? 'HOLD' : 'CHARGE',
    credits: hold ? 0 : -credits,
    heldCredits: hold ? credits : 0,
    chargeId,
    apiKeyId: key.id,
    product: product.slug,
    action,
    createdAt: now,
  };
  const account = await moveCredits(tx, posting);
  if (account === null) return { insufficient: true };
  const charge = await tx.charge.create({
    data: {
      id: chargeId,
      workspaceId,
      apiKeyId: key.id,
      product: product.slug,
      action,
      quantity,
      credits,
      balanceAfter: account.balance,
      state: hold ? 'HELD' : 'POSTED',
      idempotencyKey,
      createdAt: now,
      expiresAt: hold ? new Date(now.getTime() + product.holdSeconds * 1000) : null,
    },
  });
  await writeEntry(tx, posting, account);
  return { charge, replayed: false };
}
