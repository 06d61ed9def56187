import { sql } from 'kysely';
import { z } from 'zod';
import type { ConnectionDeps } from '../../connections/connection-deps.ts';
import type { Database } from '../../db/database.ts';
import { resolveMember } from '../../reconciliation/resolve-member.ts';
import { refuseMeeting } from './refuse.ts';

/** What the calls about meetings need. */
export type MeetingDeps = Pick<ConnectionDeps, 'db' | 'grants' | 'api' | 'vault'>;

/** A grant, the connection it stands for, and the Zoom user who hosts. */
export type Door = {
  readonly kind: 'organization' | 'personal';
  readonly connectionId: string;
  readonly grantId: string;
  readonly zoomAccountId: string;
  readonly zoomUserId: string;
};

/** A door through which something new can be made. */
export type NewDoor = Door & {
  /** meetings end after 40 minutes */
  readonly basicPlan: boolean;
  /** what is sent with every new meeting: off means absent, the host's own setting decides then (behaviour §5) */
  readonly defaults: { readonly settings?: { readonly auto_start_meeting_summary: true } };
};

/** Through whom a member hosts now, by the rule; refused with the reason where nobody serves or they cannot host. */
export async function findNewDoor(db: Database, organizationId: string, memberId: string): Promise<NewDoor> {
  const member = await resolveMember(db, memberId);
  if (member.organizationId !== organizationId) throw refuseMeeting('unknown_member');
  if (member.hosting !== 'can_host') throw refuseMeeting(member.hosting, { reason: member.reason });
  const { connectionId, zoomAccountId, zoomUserId, basicPlan } = member;
  if (member.personalKind === 'external') throw refuseMeeting('use_your_own', { zoomUserId, zoomAccountId });
  const { rows } = await sql<{ grantId: string | null; summary: boolean }>`
    select c.grant_id as "grantId", coalesce(s.meeting_summary, false) as summary
      from steward.org_connections c left join steward.organization_settings s on s.organization_id = c.organization_id
     where ${member.effective === 'organization'} and c.id = ${connectionId} and c.state = 'active'
    union all
    select p.grant_id, false from steward.personal_connections p
     where ${member.effective === 'personal'} and p.id = ${connectionId}`.execute(db);
  const row = rows[0];
  // The connection moved between the two looks.
  if (!row?.grantId || !connectionId || !zoomAccountId || !zoomUserId)
    throw refuseMeeting('temporarily_unavailable', { because: 'connection_moved', retryAfterSeconds: 1 });
  return {
    kind: member.effective === 'personal' ? 'personal' : 'organization',
    ...{ connectionId, grantId: row.grantId, zoomAccountId, zoomUserId, basicPlan },
    defaults: row.summary ? { settings: { auto_start_meeting_summary: true } } : {},
  };
}

/** A meeting that was made through us. */
export type KnownMeeting = {
  readonly meetingRef: string;
  readonly organizationId: string;
  readonly memberId: string;
  readonly zoomMeetingId: string;
  readonly deleted: boolean;
  /** null: the connection that made it is gone, or stands at another Zoom account or user by now */
  readonly door: Door | null;
};

type Row = Omit<KnownMeeting, 'door'> & Omit<Door, 'grantId'> & { readonly grantId: string | null };

/**
 * The meeting of a reference, with the connection that made it; undefined if there is none. Interrupted or
 * disconnecting ones serve as well: booked meetings can be changed until the grant goes (behaviour §6.1). The same
 * Zoom account coming back, by whatever consent, serves again.
 */
export async function findMeeting(db: Database, meetingRef: string): Promise<KnownMeeting | undefined> {
  if (!z.guid().safeParse(meetingRef).success) return undefined;
  const { rows } = await sql<Row>`
    select m.id as "meetingRef", m.organization_id as "organizationId", m.member_id as "memberId", m.zoom_meeting_id as "zoomMeetingId",
           m.deleted_at is not null as deleted, m.connection_kind as kind, m.connection_id as "connectionId",
           m.zoom_account_id as "zoomAccountId", m.zoom_user_id as "zoomUserId", coalesce(c.grant_id, p.grant_id) as "grantId"
      from steward.meetings m
      left join steward.org_connections c
        on m.connection_kind = 'organization' and c.id = m.connection_id and c.zoom_account_id = m.zoom_account_id
       and c.state in ('active', 'interrupted', 'disconnecting')
      left join steward.personal_connections p
        on m.connection_kind = 'personal' and p.id = m.connection_id and p.zoom_account_id = m.zoom_account_id
       and p.zoom_user_id = m.zoom_user_id and p.state in ('active', 'suspect', 'broken')
     where m.id = ${meetingRef}`.execute(db);
  const row = rows[0];
  if (!row) return undefined;
  const { meetingRef: ref, organizationId, memberId, zoomMeetingId, deleted, grantId, ...through } = row;
  const door = grantId === null ? null : { ...through, grantId };
  return { meetingRef: ref, organizationId, memberId, zoomMeetingId, deleted, door };
}

/** The one member who hosts an event type; refused where there are several, or none. */
export async function findOnlyHost(db: Database, organizationId: string, eventTypeId: string): Promise<string> {
  const { rows } = await sql<{ memberId: string; organizationId: string }>`
    select member_id as "memberId", organization_id as "organizationId"
      from steward.event_type_hosting(${eventTypeId}) where organization_id = ${organizationId}`.execute(db);
  const [only, ...others] = rows;
  if (!only || others.length > 0)
    throw refuseMeeting('choose_host', { memberIds: rows.map(({ memberId }) => memberId).slice(0, 50) });
  return only.memberId;
}
