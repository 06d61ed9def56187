import { type Kysely, sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import type { RateLabel } from '../zoom/rate-limits.ts';
import type { LimitFacts, MediumLimits } from './account-limits.ts';
import { type Learned, learnFrom, type Said } from './learn-limits.ts';
import { withShortWaits } from './short-waits.ts';

/**
 * What Zoom said is believed for so long: plans change, a refusal may have been another app's doing, and one odd answer must
 * not hold an account for ever. If it is still so, the next answer says it again.
 */
const believedHours = 24;
const isBelieved = sql<boolean>`coalesce(limits_learned_at > steward.now() - ${believedHours} * interval '1 hour', false)`;

/** What a walk of an account goes by. */
export type WalkFacts = LimitFacts & {
  /** calls of walks since 00:00 UTC */
  readonly callsToday: number;
  /** since a walk last asked for a page of this account; null: never */
  readonly sinceAskedMs: number | null;
  /** in the copy */
  readonly users: number;
};

/** What is known of an account's limits, and what walks have asked of it. */
export async function findWalkFacts(db: Kysely<DB>, zoomAccountId: string): Promise<WalkFacts | null> {
  const { rows } = await sql<WalkFacts>`
    select case when believed then d.medium_per_second end as "mediumPerSecond",
           case when believed then d.medium_per_day end as "mediumPerDay",
           case when believed then d.light_per_second end as "lightPerSecond",
           case when believed then d.light_per_day end as "lightPerDay",
           case when believed then d.limits_learned_from end as "learnedFrom", d.stated_limits as stated,
           case when d.walk_day = date_trunc('day', steward.now(), 'UTC') then d.walk_calls else 0 end as "callsToday",
           (extract(epoch from steward.now() - d.walk_asked_at) * 1000)::float8 as "sinceAskedMs", d.users
      from steward.directories d, lateral (select ${isBelieved} as believed) b
     where d.zoom_account_id = ${zoomAccountId}`.execute(db);
  return rows[0] ?? null;
}

const columnOf = {
  mediumPerSecond: 'medium_per_second',
  mediumPerDay: 'medium_per_day',
  lightPerSecond: 'light_per_second',
  lightPerDay: 'light_per_day',
  learnedFrom: 'limits_learned_from',
} as const satisfies Record<keyof Learned, string>;

/** Writes what was learned; the newest answer counts. What is no longer believed goes, or it would be believed again. */
export async function saveLearned(db: Kysely<DB>, zoomAccountId: string, learned: Learned): Promise<void> {
  const set = (Object.keys(columnOf) as (keyof Learned)[]).map((name) => {
    const column = sql.ref(columnOf[name]);
    return learned[name] === undefined
      ? sql`${column} = case when ${isBelieved} then ${column} end`
      : sql`${column} = ${learned[name]}`;
  });
  await sql`
    update steward.directories set limits_learned_at = steward.now(), ${sql.join(set)}
     where zoom_account_id = ${zoomAccountId}`.execute(db);
}

/**
 * Learns from one answer to a call of that label, if it teaches anything. Answers without headers cost nothing. While the
 * account's row is held nothing is learned: the next answer says the same, and somebody may wait for what this one brought.
 */
export async function learnLimits(
  db: Kysely<DB>,
  zoomAccountId: string,
  answer: Said,
  label: RateLabel,
): Promise<void> {
  if (!answer.limit && (answer.ok || answer.failure.kind !== 'rate_limited')) return;
  const facts = await findWalkFacts(db, zoomAccountId);
  const learned = facts && learnFrom(facts, answer, label);
  if (learned) await withShortWaits(db, (trx) => saveLearned(trx, zoomAccountId, learned));
}

/**
 * Says what an account's contract allows, which goes before what is learned, or – null – takes that back. A walk that
 * waits for the next day goes on at once if that lets it.
 */
export async function stateLimits(
  trx: Transaction<DB>,
  {
    zoomAccountId,
    limits,
    actor,
    reason,
  }: {
    readonly zoomAccountId: string;
    readonly limits: MediumLimits | null;
    readonly actor: `operator:${string}`;
    readonly reason: string;
  },
): Promise<void> {
  const stated = limits && JSON.stringify({ ...limits, actor, reason });
  await sql`
    insert into steward.directories as d (zoom_account_id, stated_limits)
    values (${zoomAccountId}, ${stated}::jsonb || jsonb_build_object('at', steward.now()))
    on conflict (zoom_account_id) do update set stated_limits = excluded.stated_limits, walk_resumes_at = null`.execute(
    trx,
  );
  await insertAudit(trx, {
    organizationId: null,
    actor,
    action: 'directory.limits',
    reason,
    data: { zoomAccountId, limits },
  });
}
