import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { ServiceKey } from '../service-keys.ts';
import { inSeconds, refuseMeeting } from './refuse.ts';

/** Calls about meetings within a minute; 0: as many as come. */
export type MeetingQuotas = { readonly perKey: number; readonly perOrganization: number };

/**
 * Counts a call for its key and organization, in Postgres for all processes at once, and refuses one too many. The
 * table is not logged: counting waits for no disk, and a crash forgets a minute.
 */
export async function takeQuota(
  db: Database,
  { perKey, perOrganization }: MeetingQuotas,
  key: ServiceKey,
  organizationId: string,
): Promise<void> {
  if (perKey === 0 && perOrganization === 0) return;
  const { rows } = await sql<{ subject: string; used: number; leftMs: number }>`
    insert into steward.meeting_quotas as q (subject, minute, used)
    values (${`key:${key.id}`}, date_trunc('minute', steward.now()), 1), (${`organization:${organizationId}`}, date_trunc('minute', steward.now()), 1)
    on conflict (subject) do update
       set used = case when q.minute = excluded.minute then q.used + 1 else 1 end, minute = excluded.minute
    returning subject, used, extract(epoch from minute + interval '1 minute' - steward.now())::float8 * 1000 as "leftMs"`.execute(
    db,
  );
  for (const { subject, used, leftMs } of rows) {
    const limit = subject.startsWith('key:') ? perKey : perOrganization;
    if (limit > 0 && used > limit)
      throw refuseMeeting('quota_exceeded', {
        of: subject.startsWith('key:') ? 'service_key' : 'organization',
        perMinute: limit,
        retryAfterSeconds: inSeconds(leftMs),
      });
  }
}
