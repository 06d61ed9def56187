import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { tellConnections } from './tell-connections.ts';

const fact = 'vault.rewound';

/** Whether the pair of grant `g` is of before the time to which the database was put back. */
export const isOfRewoundTime = sql<boolean>`coalesce(
  coalesce(g.refreshed_at, g.consented_at) <= (select (value ->> 'to')::timestamptz from steward.installation where key = ${fact}), false)`;

export type Rewound = {
  /** grants whose pair is of before: those of them that Zoom refuses are named `restored` from now on */
  readonly affected: number;
  /** suspect or dead by now, and renamed */
  readonly renamed: number;
};

/**
 * Records that the database was put back to an earlier time (restore, failover). Pairs that were exchanged since are
 * spent at Zoom, and nobody can tell which: those that Zoom still takes live on, those that it refuses are named
 * `restored` – ours, never the customer's –, also where that happened before this was said.
 */
export async function recordRewound(
  trx: Transaction<DB>,
  { to, actor, reason }: { readonly to: Date; readonly actor: Actor; readonly reason: string },
): Promise<Rewound> {
  await sql`
    insert into steward.installation (key, value, updated_at)
    values (${fact}, jsonb_build_object('to', ${to}::timestamptz, 'saidAt', steward.now()), steward.now())
    on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at`.execute(trx);
  const { rows: renamed } = await sql<{ id: string }>`
    update steward.grants g
       set dead_reason = case g.state when 'dead' then 'restored' end,
           suspect_reason = case when g.suspect_since is null then null else 'restored' end
     where ${isOfRewoundTime}
       and (g.suspect_since is not null
            -- A death of before that time is what it was.
            or g.state = 'dead' and g.dead_reason not in ('key_lost', 'import_refused')
               and exists (select from steward.audit_log a
                            where a.subject_id = g.id and a.action = 'grant.dead' and a.at > ${to}::timestamptz))
     returning g.id`.execute(trx);
  for (const { id } of renamed) await tellConnections(trx, id);
  const { rows } = await sql<{ affected: number }>`
    select count(*)::int as affected from steward.grants g where g.sealed_refresh is not null and ${isOfRewoundTime}`.execute(
    trx,
  );
  const counts = { affected: rows[0]?.affected ?? 0, renamed: renamed.length };
  await insertAudit(trx, { organizationId: null, actor, action: 'vault.rewound', reason, data: { to, ...counts } });
  return counts;
}
