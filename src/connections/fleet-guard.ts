import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';

/** Connections of one client id that machines may declare lost within an hour (behaviour §7): max(3, 2 %). */
const fewest = 3;
const share = 0.02;
const releasedForHours = 1;
const releasedKey = 'fleet_guard.released_until';
const releasedUntil = sql`(select (value #>> '{}')::timestamptz from steward.installation where key = ${releasedKey})`;

export type GuardDecision =
  | { readonly open: true }
  | {
      readonly open: false;
      readonly why: 'paused' | 'unidentified_candidate' | 'too_many';
      readonly failing: number;
      readonly allowed: number;
    };

/**
 * Whether this connection may be declared interrupted now. One organization may be lost on evidence about it; many at
 * once are evidence about us or Zoom: then the switch pause_declaring goes on and nothing is declared until an
 * operator releases it. Counts declared and suspected ones of the hour, itself included, so that most are held before
 * the first is declared; what was declared during a release an operator answers for, it does not count afterwards. Serialized for each client id until the transaction ends; take it before the connection's row.
 */
export async function passFleetGuard(trx: Transaction<DB>, connectionId: string): Promise<GuardDecision> {
  const { rows } = await sql<{ client_id: string }>`
    select g.client_id from steward.org_connections c join steward.grants g on g.id = c.grant_id where c.id = ${connectionId}`.execute(
    trx,
  );
  const clientId = rows[0]?.client_id ?? '';
  await sql`select pg_advisory_xact_lock(hashtextextended(${`declare:${clientId}`}, 0))`.execute(trx);
  const counted = await sql<{
    paused: boolean;
    unidentified: boolean;
    released: boolean;
    failing: number;
    allowed: number;
  }>`
    select exists (select from steward.switches where name in ('pause_declaring', 'observe_only', 'pause_all')) as paused,
           exists (select from steward.candidates where sealed_access is not null) as unidentified,
           coalesce(${releasedUntil} > steward.now(), false) as released,
           count(*) filter (where c.id = ${connectionId}
                               or c.interrupted_at > greatest(steward.now() - interval '1 hour', ${releasedUntil})
                               or (c.state = 'active' and c.first_failed_at > steward.now() - interval '1 hour')
                               or (c.state = 'active' and g.state = 'suspect' and g.suspect_since > steward.now() - interval '1 hour')
                               or (c.state = 'active' and g.state = 'dead')) as failing,
           greatest(${fewest}, floor(count(*) * ${share}::float8))::int as allowed
      from steward.org_connections c join steward.grants g on g.id = c.grant_id
     where g.client_id = ${clientId} and c.state in ('active', 'interrupted')`.execute(trx);
  const { paused, unidentified, released, failing, allowed } = counted.rows[0] as NonNullable<(typeof counted.rows)[0]>;
  if (paused) return { open: false, why: 'paused', failing, allowed };
  if (unidentified) return { open: false, why: 'unidentified_candidate', failing, allowed };
  if (failing <= allowed || released) return { open: true };
  const reason = `fleet guard: ${failing} connections of one client id fail within an hour, ${allowed} are allowed`;
  await sql`
    insert into steward.switches (name, reason, actor, since) values ('pause_declaring', ${reason}, 'schedule', steward.now())
    on conflict (name) do nothing`.execute(trx);
  await insertAudit(trx, {
    organizationId: null,
    actor: 'schedule',
    action: 'fleet_guard.closed',
    reason,
    data: { failing, allowed },
  });
  return { open: false, why: 'too_many', failing, allowed };
}

/** An operator lets machines declare again: the switch goes off, and for an hour the count closes nothing; what is declared then never counts. */
export async function releaseFleetGuard(
  trx: Transaction<DB>,
  { actor, reason }: { readonly actor: Actor; readonly reason: string },
): Promise<void> {
  await sql`delete from steward.switches where name = 'pause_declaring'`.execute(trx);
  await sql`
    insert into steward.installation (key, value)
    values (${releasedKey}, to_jsonb(steward.now() + ${releasedForHours} * interval '1 hour'))
    on conflict (key) do update set value = excluded.value, updated_at = now()`.execute(trx);
  await insertAudit(trx, { organizationId: null, actor, action: 'fleet_guard.released', reason });
}
