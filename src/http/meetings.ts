import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { z } from 'zod';
import type { ConnectionDeps } from '../connections/connection-deps.ts';
import type { CallResult } from '../grants/call.ts';
import { resolveMember } from '../reconciliation/resolve-member.ts';
import type { ZoomAnswer, ZoomFailure } from '../zoom/api.ts';
import { refuseMeeting } from './meeting-refusals.ts';

const changeable = {
  topic: z.string().min(1).max(200),
  startsAt: z.iso.datetime({ offset: true }),
  durationMinutes: z.int().min(1).max(1440),
  timeZone: z.string().max(64),
  agenda: z.string().max(2000),
};

/** Body of POST /v1/meetings. */
export const meetingRequest = z.strictObject({
  organizationId: z.guid(),
  memberId: z.guid(),
  ...changeable,
  timeZone: changeable.timeZone.optional(),
  agenda: changeable.agenda.optional(),
});

/** Body of PATCH /v1/meetings/:ref: what changes. */
export const meetingChanges = z.strictObject(changeable).partial();

type Deps = Pick<ConnectionDeps, 'db' | 'grants' | 'api'>;
type Changes = z.infer<typeof meetingChanges>;

const scheduledMeeting = 2;

const toZoom = (changes: Changes): Record<string, unknown> => ({
  ...(changes.topic === undefined ? {} : { topic: changes.topic }),
  ...(changes.startsAt === undefined ? {} : { start_time: new Date(changes.startsAt).toISOString() }),
  ...(changes.durationMinutes === undefined ? {} : { duration: changes.durationMinutes }),
  ...(changes.timeZone === undefined ? {} : { timezone: changes.timeZone }),
  ...(changes.agenda === undefined ? {} : { agenda: changes.agenda }),
});

/** A grant, the connection it stands for, and the Zoom user to host with. */
type Door = {
  readonly kind: 'organization' | 'personal';
  readonly connectionId: string;
  readonly grantId: string;
  readonly zoomAccountId: string;
  readonly zoomUserId: string;
};

async function doorFor(
  deps: Deps,
  organizationId: string,
  memberId: string,
): Promise<{ door: Door; basicPlan: boolean; summary: boolean }> {
  const member = await resolveMember(deps.db, memberId);
  if (member.organizationId !== organizationId) throw refuseMeeting('unknown_member');
  if (member.hosting !== 'can_host') throw refuseMeeting(member.hosting, { reason: member.reason });
  if (member.effective === 'personal') {
    const own = await deps.db
      .selectFrom('steward.personal_connections')
      .select(['id', 'grant_id', 'zoom_account_id', 'zoom_user_id'])
      .where('organization_id', '=', organizationId)
      .where('member_id', '=', memberId)
      .where('state', 'in', ['active', 'suspect'])
      .executeTakeFirst();
    if (!own?.grant_id || !own.zoom_account_id || !own.zoom_user_id) throw refuseMeeting('use_your_own');
    return {
      door: {
        kind: 'personal',
        connectionId: own.id,
        grantId: own.grant_id,
        zoomAccountId: own.zoom_account_id,
        zoomUserId: own.zoom_user_id,
      },
      basicPlan: false,
      summary: false,
    };
  }
  const row = await deps.db
    .selectFrom('steward.org_connections as c')
    .leftJoin('steward.organization_settings as s', 's.organization_id', 'c.organization_id')
    .select(['c.id', 'c.grant_id', 'c.zoom_account_id', 's.meeting_summary'])
    .where('c.organization_id', '=', organizationId)
    .where('c.state', '=', 'active')
    .executeTakeFirst();
  if (!row?.grant_id || !row.zoom_account_id || !member.zoomUserId) throw refuseMeeting('temporarily_unavailable');
  return {
    door: {
      kind: 'organization',
      connectionId: row.id,
      grantId: row.grant_id,
      zoomAccountId: row.zoom_account_id,
      zoomUserId: member.zoomUserId,
    },
    basicPlan: member.basicPlan,
    summary: row.meeting_summary ?? false,
  };
}

/** What Zoom answered, or the refusal that it means for the caller. `gone` is given for a meeting that is not there. */
function answerOf<T>(result: CallResult<T>): T | 'gone' {
  if (result.kind !== 'answer') throw refuseMeeting('temporarily_unavailable', { because: result.kind });
  const answer: ZoomAnswer<T> = result.answer;
  if (answer.ok) return answer.value;
  return refusalOf(answer.failure);
}

function refusalOf(failure: ZoomFailure): 'gone' {
  switch (failure.kind) {
    case 'not_found':
      return 'gone';
    case 'cannot_host':
      throw refuseMeeting('no_zoom_user', { zoomCode: failure.code });
    case 'host_daily_limit':
      throw refuseMeeting('host_daily_limit');
    case 'missing_permission':
    case 'missing_scope':
      throw refuseMeeting('interrupted', { because: failure.kind });
    case 'token':
    case 'rate_limited':
    case 'server':
    case 'network':
    case 'application':
    case 'page_token':
    case 'unexpected':
      throw refuseMeeting('temporarily_unavailable', { because: failure.kind });
    default:
      return failure.kind satisfies never;
  }
}

/** Makes a meeting with the host that the rule gives, and the reference with which it can be changed later. */
export async function createMeeting(deps: Deps, request: z.infer<typeof meetingRequest>) {
  const { door, basicPlan, summary } = await doorFor(deps, request.organizationId, request.memberId);
  const body = {
    ...toZoom(request),
    type: scheduledMeeting,
    // Off means absent: the host's own setting decides then (behaviour §5).
    ...(summary ? { settings: { auto_start_meeting_summary: true } } : {}),
  };
  const made = answerOf(
    await deps.grants.call(door.grantId, (auth) => deps.api.createMeeting(auth, door.zoomUserId, body)),
  );
  if (made === 'gone') throw refuseMeeting('no_zoom_user');
  if (made.joinUrl === null) throw refuseMeeting('temporarily_unavailable', { because: 'no join URL in the answer' });
  const meetingRef = randomUUID();
  await sql`
    insert into steward.meetings (id, organization_id, member_id, connection_kind, connection_id, zoom_account_id, zoom_user_id, zoom_meeting_id, created_at)
    values (${meetingRef}, ${request.organizationId}, ${request.memberId}, ${door.kind}, ${door.connectionId}, ${door.zoomAccountId},
            ${door.zoomUserId}, ${String(made.id)}, steward.now())`.execute(deps.db);
  return {
    meetingRef,
    connectionId: door.connectionId,
    connectionKind: door.kind,
    zoomAccountId: door.zoomAccountId,
    zoomMeetingId: String(made.id),
    joinUrl: made.joinUrl,
    basicPlan,
  };
}

/** Organization of a meeting reference, to check the caller's key against; undefined if there is none. */
export async function findMeetingOrganization(deps: Deps, meetingRef: string): Promise<string | undefined> {
  if (!z.guid().safeParse(meetingRef).success) return undefined;
  const row = await deps.db
    .selectFrom('steward.meetings')
    .select('organization_id')
    .where('id', '=', meetingRef)
    .executeTakeFirst();
  return row?.organization_id;
}

/** The meeting with the grant of the connection that made it; refused as detached when that is gone or on another account. */
async function madeThrough(deps: Deps, meetingRef: string) {
  const meeting = await deps.db
    .selectFrom('steward.meetings')
    .selectAll()
    .where('id', '=', meetingRef)
    .executeTakeFirst();
  if (!meeting) throw refuseMeeting('unknown_meeting');
  const connection =
    meeting.connection_kind === 'organization'
      ? await deps.db
          .selectFrom('steward.org_connections')
          .select(['grant_id', 'zoom_account_id'])
          .where('id', '=', meeting.connection_id)
          // Interrupted or disconnecting: booked meetings can be changed until the grant goes (behaviour §6.1).
          .where('state', 'in', ['active', 'interrupted', 'disconnecting'])
          .executeTakeFirst()
      : await deps.db
          .selectFrom('steward.personal_connections')
          .select(['grant_id', 'zoom_account_id'])
          .where('id', '=', meeting.connection_id)
          .where('state', 'in', ['active', 'suspect'])
          .executeTakeFirst();
  if (!connection?.grant_id || connection.zoom_account_id !== meeting.zoom_account_id) throw refuseMeeting('detached');
  return { meeting, grantId: connection.grant_id };
}

/** Changes a meeting through the connection that made it. */
export async function updateMeeting(deps: Deps, meetingRef: string, changes: Changes): Promise<{ meetingRef: string }> {
  const { meeting, grantId } = await madeThrough(deps, meetingRef);
  if (meeting.deleted_at) throw refuseMeeting('unknown_meeting');
  const changed = answerOf(
    await deps.grants.call(grantId, (auth) => deps.api.updateMeeting(auth, meeting.zoom_meeting_id, toZoom(changes))),
  );
  if (changed === 'gone') throw refuseMeeting('unknown_meeting', { because: 'gone_at_zoom' });
  return { meetingRef };
}

/** Deletes a meeting through the connection that made it. Deleting it twice, or one that Zoom no longer has, is no error. */
export async function deleteMeeting(deps: Deps, meetingRef: string): Promise<{ meetingRef: string }> {
  const { meeting, grantId } = await madeThrough(deps, meetingRef);
  if (!meeting.deleted_at) {
    answerOf(await deps.grants.call(grantId, (auth) => deps.api.deleteMeeting(auth, meeting.zoom_meeting_id)));
    await sql`update steward.meetings set deleted_at = steward.now() where id = ${meetingRef} and deleted_at is null`.execute(
      deps.db,
    );
  }
  return { meetingRef };
}
