import { sql } from 'kysely';
import { type MeetingChanges, toZoom } from './bodies.ts';
import { callZoom } from './call-zoom.ts';
import type { Door, KnownMeeting, MeetingDeps } from './door.ts';
import { refuseMeeting } from './refuse.ts';

/** The door through which a meeting was made: a meeting is changed with the connection that made it (behaviour §8). */
export function doorOf({ door }: KnownMeeting): Door {
  if (door === null) throw refuseMeeting('detached');
  return door;
}

/** Changes a meeting. Repeating it is harmless, so that an answer that was lost is only `temporarily_unavailable`. */
export async function updateMeeting(
  deps: MeetingDeps,
  meeting: KnownMeeting,
  changes: MeetingChanges,
): Promise<{ meetingRef: string }> {
  if (meeting.deleted) throw refuseMeeting('unknown_meeting', { because: 'deleted' });
  const changed = await callZoom(deps, doorOf(meeting), 'update', (auth) =>
    deps.api.updateMeeting(auth, meeting.zoomMeetingId, toZoom(changes)),
  );
  if (changed === 'gone') throw refuseMeeting('unknown_meeting', { because: 'gone_at_zoom' });
  return { meetingRef: meeting.meetingRef };
}

/** Deletes a meeting. Deleting it twice, or one that Zoom no longer has, is no error. */
export async function deleteMeeting(deps: MeetingDeps, meeting: KnownMeeting): Promise<{ meetingRef: string }> {
  const { meetingRef, zoomMeetingId } = meeting;
  if (!meeting.deleted) {
    await callZoom(deps, doorOf(meeting), 'delete', (auth) => deps.api.deleteMeeting(auth, zoomMeetingId));
    await sql`update steward.meetings set deleted_at = steward.now() where id = ${meetingRef} and deleted_at is null`.execute(
      deps.db,
    );
  }
  return { meetingRef };
}
