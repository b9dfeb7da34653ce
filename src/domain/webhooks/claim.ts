import type { RunStatement, Statement } from '../../db/database.js';

/**
 * Duration of a lease. Longer than an attempt may take, and short enough that another process takes over the
 * deliveries of a killed process within a minute.
 */
export const leaseMs = 30_000;

/** A delivery that this process holds until the lease ends, with all data for an attempt. */
export interface ClaimedDelivery {
  readonly id: string;
  readonly leaseId: string;
  readonly workspaceId: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly attemptCount: number;
  readonly payload: string;
  readonly url: string;
  /** Whether the endpoint was disabled or deleted since the event. */
  readonly isClosed: boolean;
  /** The slug of the product of the endpoint's key. */
  readonly product: string;
  /** The signing secrets that are valid now, newest first. */
  readonly secrets: readonly { readonly id: string; readonly ciphertext: string }[];
}

export interface Claim {
  readonly now: Date;
  readonly leaseId: string;
  /** Maximum number of deliveries. */
  readonly limit: number;
  /** Whether to claim from the queue of failing endpoints: those whose last attempt failed. */
  readonly failing: boolean;
  /** Only endpoints with a greater id. Claims rotate through the endpoints, so that none is always first. */
  readonly after: string;
  /** Maximum number of concurrent deliveries per endpoint in this process. */
  readonly perEndpoint: number;
  /** Number of deliveries in flight in this process, by endpoint id. */
  readonly inFlight: ReadonlyMap<string, number>;
}

/**
 * Steps from endpoint to endpoint through the partial index, and takes a few deliveries of each. So the
 * pending deliveries of one endpoint are not read to find the due deliveries of another. Rows that another
 * process is claiming are skipped. A claim is a lease, so a crashed process needs no clean-up.
 */
const claimDue: Statement = {
  name: 'claim-webhook-deliveries',
  text: `
    WITH RECURSIVE waiting AS (
      (SELECT d."endpointId" FROM "WebhookDelivery" d WHERE d."state" = 'PENDING' AND d."endpointId" > $4 ORDER BY d."endpointId" LIMIT 1)
      UNION ALL
      SELECT n."endpointId" FROM waiting w CROSS JOIN LATERAL (
        SELECT d."endpointId" FROM "WebhookDelivery" d WHERE d."state" = 'PENDING' AND d."endpointId" > w."endpointId"
        ORDER BY d."endpointId" LIMIT 1
      ) n
    ), chosen AS MATERIALIZED (
      SELECT due."id"
      FROM waiting w
      JOIN "WebhookEndpoint" e ON e."id" = w."endpointId" AND (e."failingSince" IS NOT NULL) = $5::bool
      LEFT JOIN unnest($7::text[], $8::int[]) AS u(endpoint_id, in_flight) ON u.endpoint_id = w."endpointId"
      CROSS JOIN LATERAL (
        SELECT d."id" FROM "WebhookDelivery" d
        WHERE d."state" = 'PENDING' AND d."endpointId" = w."endpointId" AND d."dueAt" <= $1::timestamptz
        ORDER BY d."dueAt" LIMIT greatest(0, $6::int - coalesce(u.in_flight, 0))
        FOR UPDATE SKIP LOCKED
      ) due
      LIMIT $3::int
    )
    UPDATE "WebhookDelivery" d SET "leaseId" = $2, "dueAt" = $1::timestamptz + interval '${leaseMs} milliseconds'
    FROM chosen, "WebhookEvent" v, "WebhookEndpoint" e, "ApiKey" k
    WHERE d."id" = chosen."id" AND v."id" = d."eventId" AND e."id" = d."endpointId" AND k."id" = e."apiKeyId"
    RETURNING d."id", d."leaseId", d."workspaceId", d."endpointId", d."eventId", d."attemptCount", v."payload", e."url",
      e."disabledAt" IS NOT NULL OR e."deletedAt" IS NOT NULL AS "isClosed", k."product",
      (
        SELECT coalesce(json_agg(json_build_object('id', s."id", 'ciphertext', encode(s."ciphertext", 'base64')) ORDER BY s."id" DESC), '[]')
        FROM "SigningSecret" s WHERE s."apiKeyId" = k."id" AND (s."retiresAt" IS NULL OR s."retiresAt" > $1::timestamptz)
      ) AS "secrets"`,
};

/** Claims due deliveries. Safe with any number of processes. */
export function claimDeliveries(run: RunStatement, claim: Claim): Promise<ClaimedDelivery[]> {
  return run<ClaimedDelivery>(claimDue, [
    claim.now.toISOString(),
    claim.leaseId,
    claim.limit,
    claim.after,
    claim.failing,
    claim.perEndpoint,
    [...claim.inFlight.keys()],
    [...claim.inFlight.values()],
  ]);
}

const releaseAll: Statement = {
  name: 'release-webhook-deliveries',
  text: `
    UPDATE "WebhookDelivery" SET "leaseId" = NULL, "dueAt" = $1::timestamptz
    WHERE "id" = ANY ($2::text[]) AND "leaseId" = ANY ($3::text[]) AND "state" = 'PENDING'`,
};

/**
 * Releases deliveries that were not attempted, so that another process need not wait for the end of the
 * lease.
 */
export async function releaseDeliveries(
  run: RunStatement,
  deliveries: readonly ClaimedDelivery[],
  now: Date,
): Promise<void> {
  if (deliveries.length === 0) return;
  await run(releaseAll, [now.toISOString(), deliveries.map(({ id }) => id), deliveries.map(({ leaseId }) => leaseId)]);
}
