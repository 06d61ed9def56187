import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { MeetingRequest } from './bodies.ts';
import { refuseMeeting } from './refuse.ts';

/** How long a key gives the same meeting. */
const rememberedHours = 24;
/** A request is certainly over after it: what is still open then was given up by a process that died. */
const longestSeconds = 120;
const askAgainSeconds = 2;

/** The main app's name for one booking: at most one meeting is made for it. */
export type RequestKey = { readonly organizationId: string; readonly idempotencyKey: string };

type Row = {
  readonly fingerprint: Buffer;
  readonly state: string;
  readonly answer: unknown;
  readonly over: boolean;
  readonly deleted: boolean;
};

const fingerprintOf = ({ memberId, topic, startsAt, durationMinutes, timeZone, agenda }: MeetingRequest): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([memberId, topic, Date.parse(startsAt), durationMinutes, timeZone, agenda]))
    .digest();

/**
 * Takes the key for this request, or gives the answer of the one that had it within 24 hours. Refused while that one is
 * under way, if it asked for something else, and if nobody knows what became of it.
 */
export async function beginRequest<Answer>(
  db: Database,
  { organizationId, idempotencyKey }: RequestKey,
  request: MeetingRequest,
): Promise<{ readonly state: 'begun' } | { readonly state: 'made'; readonly answer: Answer }> {
  const fingerprint = fingerprintOf(request);
  for (;;) {
    const { rows: begun } = await sql`
      insert into steward.meeting_requests as r (organization_id, idempotency_key, fingerprint, state, started_at)
      values (${organizationId}, ${idempotencyKey}, ${fingerprint}, 'begun', steward.now())
      on conflict (organization_id, idempotency_key) do update
         set fingerprint = excluded.fingerprint, state = 'begun', meeting_ref = null, answer = null, started_at = excluded.started_at
       where r.started_at < steward.now() - ${rememberedHours} * interval '1 hour'
      returning 1`.execute(db);
    if (begun.length > 0) return { state: 'begun' };
    const { rows } = await sql<Row>`
      select r.fingerprint, r.state, r.answer, r.started_at < steward.now() - ${longestSeconds} * interval '1 second' as over,
             coalesce(m.deleted_at is not null, false) as deleted
        from steward.meeting_requests r left join steward.meetings m on m.id = r.meeting_ref
       where r.organization_id = ${organizationId} and r.idempotency_key = ${idempotencyKey}`.execute(db);
    const row = rows[0];
    // The other one was refused just now and gave the key back.
    if (!row) continue;
    if (!fingerprint.equals(row.fingerprint)) throw refuseMeeting('key_reused');
    if (row.deleted) throw refuseMeeting('unknown_meeting', { because: 'deleted' });
    if (row.state === 'made') return { state: 'made', answer: row.answer as Answer };
    if (row.state === 'begun' && !row.over) throw refuseMeeting('in_progress', { retryAfterSeconds: askAgainSeconds });
    throw refuseMeeting('outcome_unknown', { because: row.state === 'begun' ? 'process_died' : 'answer_lost' });
  }
}

/** Ends a request that made nothing – the key is free again – or of which nobody knows. Does nothing to one that did. */
export async function endRequest(db: Database, key: RequestKey, outcome: 'free' | 'unknown'): Promise<void> {
  const mine = sql`organization_id = ${key.organizationId} and idempotency_key = ${key.idempotencyKey} and state = 'begun'`;
  await (outcome === 'free'
    ? sql`delete from steward.meeting_requests where ${mine}`
    : sql`update steward.meeting_requests set state = 'unknown' where ${mine}`
  ).execute(db);
}

/** Forgets requests whose keys are free again; their answers hold links to join. */
export async function pruneMeetingRequests(db: Database): Promise<void> {
  await sql`delete from steward.meeting_requests where started_at < steward.now() - ${rememberedHours} * interval '1 hour'`.execute(
    db,
  );
  await sql`delete from steward.host_blocks where until < steward.now()`.execute(db);
}
