import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../db/database.ts';

/** For how many days what is over is kept. */
export type Retention = { readonly runsDays: number; readonly eventsDays: number; readonly auditDays: number };

/** One kind of row that is over: how many there are, and what they are. */
export type PruneCount = { readonly what: string; readonly rows: number; readonly rule: string };

type Subject = {
  readonly what: string;
  readonly rule: string;
  readonly table: string;
  readonly key: string;
  readonly over: RawBuilder<unknown>;
};

const days = (count: number): RawBuilder<unknown> => sql`steward.now() - ${count} * interval '1 day'`;

// Claims live for a minute; a day of grace costs nothing and forgives any clock.
const claimsHours = 24;

function subjects({ runsDays, eventsDays, auditDays }: Retention): readonly Subject[] {
  return [
    {
      what: 'runs',
      rule: `ended more than ${runsDays} days ago; kept: the newest of each organization, and what locations can be restored from`,
      table: 'steward.runs',
      key: 'id',
      over: sql`
        x.state in ('done', 'superseded', 'failed') and x.ended_at < ${days(runsDays)}
        and not exists (select from steward.archived_locations a where a.organization_id = x.organization_id and (x.cascade or a.run_id = x.id))
        and not (x.cascade and exists (select from steward.org_connections c where c.organization_id = x.organization_id and c.generation = x.generation))
        and (x.target <> 'organization' or exists (
          select from steward.runs newer
           where newer.organization_id = x.organization_id and newer.target = 'organization' and newer.created_at > x.created_at))`,
    },
    {
      what: 'refresh attempts',
      rule: `ended more than ${runsDays} days ago, of token versions that are gone, or repeated since and nothing was unknown`,
      table: 'steward.refresh_attempts',
      key: 'id',
      over: sql`
        x.ended_at < ${days(runsDays)}
        and (exists (select from steward.grants g where g.id = x.grant_id and g.version > x.version)
          or x.outcome in ('not_sent', 'refused') and exists (
            select from steward.refresh_attempts newer
             where newer.grant_id = x.grant_id and newer.version = x.version and newer.started_at > x.started_at))`,
    },
    {
      what: 'events',
      rule: `taken by the main app, and older than ${eventsDays} days; those not taken are kept`,
      table: 'steward.events',
      key: 'seq',
      over: sql`
        x.delivered_at is not null and x.created_at < ${days(eventsDays)}
        and not exists (select from steward.org_connections c where c.notice_event_seq = x.seq)`,
    },
    {
      what: 'audit log',
      rule: `older than ${auditDays} days`,
      table: 'steward.audit_log',
      key: 'id',
      over: sql`x.at < ${days(auditDays)}`,
    },
    {
      what: 'archived locations',
      rule: 'past their archive_days',
      table: 'steward.archived_locations',
      key: 'id',
      over: sql`x.expires_at <= steward.now()`,
    },
    {
      what: 'consents of members',
      rule: `ended more than ${runsDays} days ago`,
      table: 'steward.personal_consents',
      key: 'id',
      over: sql`
        x.state in ('done', 'denied', 'failed', 'expired', 'void') and x.ended_at < ${days(runsDays)} and x.sealed_access is null`,
    },
    {
      what: 'used claims',
      rule: `expired more than ${claimsHours} hours ago`,
      table: 'steward.used_claims',
      key: 'id',
      over: sql`x.expires_at < steward.now() - ${claimsHours} * interval '1 hour'`,
    },
  ];
}

/** How many rows are over, by kind; changes nothing. */
export async function countPrunable(db: Database, retention: Retention): Promise<readonly PruneCount[]> {
  const counts: PruneCount[] = [];
  for (const { what, rule, table, over } of subjects(retention)) {
    const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(table)} x where ${over}`.execute(
      db,
    );
    counts.push({ what, rule, rows: rows[0]?.n ?? 0 });
  }
  return counts;
}

export type PruneOptions = {
  /** rows a transaction */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: PruneCount) => void;
};

const pausing = ['pause_all', 'pause_writes'] as const;

/**
 * Deletes what is over, in transactions of `batch` rows, oldest keys first. Stops between two of them when told to, or
 * when an operator pauses writing. Doing it twice deletes nothing more.
 * @returns what was deleted, and why it stopped before the end
 */
export async function prune(
  db: Database,
  retention: Retention,
  { batch = 2_000, signal, onProgress = () => {} }: PruneOptions = {},
): Promise<{ readonly deleted: readonly PruneCount[]; readonly stopped: 'paused' | 'aborted' | null }> {
  const deleted: PruneCount[] = [];
  for (const { what, rule, table, key, over } of subjects(retention)) {
    let sum = 0;
    for (;;) {
      const paused = await db.selectFrom('steward.switches').select('name').where('name', 'in', pausing).execute();
      const stopped = paused.length > 0 ? 'paused' : signal?.aborted ? 'aborted' : null;
      if (stopped !== null) return { deleted: [...deleted, { what, rule, rows: sum }], stopped };
      const { numAffectedRows = 0n } = await sql`
        delete from ${sql.table(table)} where ${sql.ref(key)} in (
          select x.${sql.ref(key)} from ${sql.table(table)} x where ${over} order by x.${sql.ref(key)} limit ${batch} for update skip locked)`.execute(
        db,
      );
      sum += Number(numAffectedRows);
      if (numAffectedRows > 0n) onProgress({ what, rule, rows: sum });
      if (Number(numAffectedRows) < batch) break;
    }
    deleted.push({ what, rule, rows: sum });
  }
  return { deleted, stopped: null };
}
