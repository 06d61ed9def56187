import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { GrantAuth } from '../../grants/call.ts';
import type { ZoomMeeting } from '../../zoom/api.ts';
import { ApiError } from '../api-error.ts';
import { type MeetingRequest, toZoom } from './bodies.ts';
import { callZoom } from './call-zoom.ts';
import { findNewDoor, type MeetingDeps, type NewDoor } from './door.ts';
import { refuseMeeting } from './refuse.ts';
import { beginRequest, endRequest, type RequestKey } from './requests.ts';

const scheduledMeeting = 2;
/** Pauses between attempts to store what Zoom made, milliseconds. */
const storeAgainMs = [100, 400] as const;

/** What POST /v1/meetings answers; no token, and no link that lets its bearer host. */
export type MadeMeeting = {
  readonly meetingRef: string;
  readonly connectionId: string;
  readonly connectionKind: 'organization' | 'personal';
  readonly zoomAccountId: string;
  readonly zoomUserId: string;
  readonly zoomMeetingId: string;
  readonly joinUrl: string;
  readonly basicPlan: boolean;
};

/**
 * Makes a meeting with the host that the rule gives, and the reference with which it can be changed later. With an
 * idempotency key at most one meeting is made for it in 24 hours, and repeating the request gives that one.
 */
export async function createMeeting(
  deps: MeetingDeps,
  request: MeetingRequest,
  idempotencyKey?: string,
): Promise<{ readonly made: MadeMeeting; readonly replayed: boolean }> {
  if (idempotencyKey === undefined) return { made: await make(deps, request, null, { asked: false }), replayed: false };
  const key = { organizationId: request.organizationId, idempotencyKey };
  const begun = await beginRequest<MadeMeeting>(deps.db, key, request);
  if (begun.state === 'made') return { made: begun.answer, replayed: true };
  const zoom = { asked: false };
  try {
    return { made: await make(deps, request, key, zoom), replayed: false };
  } catch (error) {
    // A refusal made nothing, nor did what Zoom was never asked for; of lost answers nobody knows. If this is not
    // written, a request that stays open is unknown after two minutes.
    const known = !zoom.asked || (error instanceof ApiError && error.code !== 'outcome_unknown');
    await endRequest(deps.db, key, known ? 'free' : 'unknown').catch(() => {});
    throw error;
  }
}

async function make(
  deps: MeetingDeps,
  request: MeetingRequest,
  key: RequestKey | null,
  /** set once a request may have gone out */
  zoom: { asked: boolean },
): Promise<MadeMeeting> {
  const door = await findNewDoor(deps.db, request.organizationId, request.memberId);
  const body = { ...toZoom(request), type: scheduledMeeting, ...door.defaults };
  try {
    const answered = await callZoom(deps, door, 'create', async (auth) => {
      zoom.asked = true;
      const answer = await deps.api.createMeeting(auth, door.zoomUserId, body);
      return answer.ok
        ? { ok: true, value: await keep(deps, auth, { door, request, key, meeting: answer.value }) }
        : answer;
    });
    const kept = answered === 'gone' ? 'undone' : answered.value;
    if (kept === 'undone') throw refuseMeeting('temporarily_unavailable', { because: 'not_stored' });
    if (kept === 'astray') throw refuseMeeting('outcome_unknown', { because: 'not_stored' });
    return kept;
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'cannot_host') throw error;
    // The look that the refusal began may have found out why.
    await findNewDoor(deps.db, request.organizationId, request.memberId);
    throw error;
  }
}

type Kept = {
  readonly door: NewDoor;
  readonly request: MeetingRequest;
  readonly key: RequestKey | null;
  readonly meeting: ZoomMeeting;
};

/**
 * Stores what Zoom made, patiently; a meeting that cannot be stored – or that nobody could join – is taken back at
 * Zoom, so that none is left which nobody knows. `astray`: that did not work either.
 */
async function keep(deps: MeetingDeps, auth: GrantAuth, kept: Kept): Promise<MadeMeeting | 'undone' | 'astray'> {
  const { door, meeting } = kept;
  if (meeting.joinUrl !== null) {
    const made: MadeMeeting = {
      meetingRef: randomUUID(),
      connectionId: door.connectionId,
      connectionKind: door.kind,
      zoomAccountId: door.zoomAccountId,
      zoomUserId: door.zoomUserId,
      zoomMeetingId: meeting.id,
      joinUrl: meeting.joinUrl,
      basicPlan: door.basicPlan,
    };
    const stored = await storePatiently(deps.db, kept, made);
    if (stored === 'stored') return made;
    // Perhaps committed, and then the answer of its key: taking it back would hand out a link to nothing.
    if (stored === 'unknown') return 'astray';
  }
  const taken = await deps.api.deleteMeeting(auth, meeting.id);
  return taken.ok || taken.failure.kind === 'not_found' ? 'undone' : 'astray';
}

async function storePatiently(
  db: Database,
  kept: Kept,
  made: MadeMeeting,
): Promise<'stored' | 'not_stored' | 'unknown'> {
  let outcome: 'not_stored' | 'unknown' = 'not_stored';
  for (const pauseMs of [0, ...storeAgainMs]) {
    if (pauseMs > 0) await sleep(pauseMs);
    try {
      await store(db, kept, made);
      return 'stored';
    } catch (error) {
      // Asked again; what keeps failing is told by the refusal.
      if (!isNotStored(error)) outcome = 'unknown';
    }
  }
  return outcome;
}

/** Whether Postgres answered that it did not, or was never reached; a connection lost on the way may have committed. */
function isNotStored(error: unknown): boolean {
  const code = String((error as { readonly code?: unknown }).code);
  const never = code === 'ECONNREFUSED' || /when trying to connect/.test(String(error));
  return never || /^(?!08|57)[0-9PX][0-9A-Z]{4}$/.test(code);
}

/** Meeting and answer of the request in one statement; the same again changes nothing. */
async function store(db: Database, { request, key }: Kept, made: MadeMeeting): Promise<void> {
  await sql`
    with made as (
      insert into steward.meetings (id, organization_id, member_id, connection_kind, connection_id, zoom_account_id, zoom_user_id, zoom_meeting_id, created_at)
      values (${made.meetingRef}, ${request.organizationId}, ${request.memberId}, ${made.connectionKind}, ${made.connectionId},
              ${made.zoomAccountId}, ${made.zoomUserId}, ${made.zoomMeetingId}, steward.now())
      on conflict (id) do nothing)
    update steward.meeting_requests
       set state = 'made', meeting_ref = ${made.meetingRef}, answer = ${JSON.stringify(made)}::jsonb
     where organization_id = ${request.organizationId} and idempotency_key = ${key?.idempotencyKey ?? null}`.execute(
    db,
  );
}
