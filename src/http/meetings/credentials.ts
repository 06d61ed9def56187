import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { insertAudit } from '../../db/audit-repository.ts';
import type { AccessTokenResult } from '../../grants/access-token.ts';
import type { Secret } from '../../secret.ts';
import type { ServiceKey } from '../service-keys.ts';
import type { CredentialsRequest } from './bodies.ts';
import { proveDoor, tokenPatienceMs } from './call-zoom.ts';
import { doorOf } from './change-meeting.ts';
import { type Door, findNewDoor, findOnlyHost, type KnownMeeting, type MeetingDeps } from './door.ts';
import { passObstacles } from './obstacles.ts';
import { refuseMeeting } from './refuse.ts';

/** Told life of what is handed out, at most: whoever wants more asks again, and the rule decides again. */
const longestLifeMs = 10 * 60_000;

/** Names a token without being one: say it when Zoom refused that token. */
const fingerprintOf = (token: Secret): string =>
  createHash('sha256').update(token.reveal()).digest('base64url').slice(0, 22);

/** Who hosts, and through which grant: for something new, or for a meeting that was made through us. */
async function doorFor(deps: MeetingDeps, asked: CredentialsRequest, meeting: KnownMeeting | undefined) {
  if (asked.purpose === 'create') {
    const { organizationId } = asked;
    const memberId =
      'memberId' in asked ? asked.memberId : await findOnlyHost(deps.db, organizationId, asked.eventTypeId);
    const { defaults, basicPlan, ...door } = await findNewDoor(deps.db, organizationId, memberId);
    return { door, organizationId, memberId, defaults, basicPlan, zoomMeetingId: null, subjectId: memberId };
  }
  if (!meeting || meeting.deleted) throw refuseMeeting('unknown_meeting');
  const { organizationId, memberId, meetingRef } = meeting;
  const made = { defaults: {}, basicPlan: false, zoomMeetingId: meeting.zoomMeetingId };
  return { door: doorOf(meeting), organizationId, memberId, ...made, subjectId: meetingRef };
}

function tokenOf(got: AccessTokenResult): Extract<AccessTokenResult, { kind: 'token' }> {
  if (got.kind === 'token') return got;
  if (got.kind === 'dead') throw refuseMeeting('interrupted', { because: got.reason });
  throw refuseMeeting('temporarily_unavailable', { because: got.kind === 'vault_unreadable' ? got.kind : got.reason });
}

/** A token, newer than the one that Zoom refused; a refresh is forced only while that one is the newest. */
async function findToken(deps: MeetingDeps, { grantId }: Door, refused: string | undefined) {
  const first = tokenOf(await deps.grants.accessToken(grantId, { patienceMs: tokenPatienceMs }));
  if (refused === undefined || fingerprintOf(first.token) !== refused) return first;
  const wish = { patienceMs: tokenPatienceMs, notVersion: first.version };
  return tokenOf(await deps.grants.accessToken(grantId, wish));
}

/**
 * An access token for a caller who talks to Zoom itself, never a refresh token. It is as powerful as the authorizing
 * Zoom user within the app's scopes. The audit entry is committed before it is given away.
 */
export async function handOutCredentials(
  deps: MeetingDeps,
  key: ServiceKey,
  asked: CredentialsRequest,
  meeting?: KnownMeeting,
) {
  const { door, organizationId, memberId, subjectId, ...about } = await doorFor(deps, asked, meeting);
  const act = asked.purpose === 'create' ? 'create' : 'delete';
  const { unproven } = await passObstacles(deps.db, door, act, { tries: false });
  if (unproven) await proveDoor(deps, door);
  const { token, apiBase, version } = await findToken(deps, door, asked.refusedFingerprint);
  const expiresAt = await deps.db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ expiresAt: Date }>`
      select least(access_expires_at, steward.now() + ${longestLifeMs} * interval '1 millisecond') as "expiresAt"
        from steward.grants where id = ${door.grantId} and version = ${version}`.execute(trx);
    const { kind: connectionKind, connectionId } = door;
    await insertAudit(trx, {
      organizationId,
      actor: 'app',
      action: 'credentials.handed_out',
      subjectId,
      data: { purpose: asked.purpose, memberId, connectionKind, connectionId, serviceKeyId: key.id },
    });
    return rows[0]?.expiresAt;
  });
  // Refreshed between the two looks: the token at hand may be over.
  if (!expiresAt) throw refuseMeeting('temporarily_unavailable', { because: 'refreshed', retryAfterSeconds: 1 });
  return {
    accessToken: token.reveal(),
    fingerprint: fingerprintOf(token),
    expiresAt: expiresAt.toISOString(),
    apiBase,
    connectionId: door.connectionId,
    connectionKind: door.kind,
    zoomAccountId: door.zoomAccountId,
    zoomUserId: door.zoomUserId,
    zoomMeetingId: about.zoomMeetingId,
    memberId,
    basicPlan: about.basicPlan,
    meetingDefaults: about.defaults,
  };
}
