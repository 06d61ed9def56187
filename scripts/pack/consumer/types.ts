/**
 * What a main app writes, for the compiler alone: scripts/pack checks it against the packed packages, under every way
 * of resolving them. The name in the import is replaced for each package that exports the client.
 */
import type { Kysely, Transaction } from 'kysely';
import type { Pool, PoolClient } from 'pg';
import {
  createSteward,
  type Meeting,
  MeetingRefusedError,
  type MemberZoom,
  meetingRefusals,
  type Queryable,
  StewardRequestError,
} from 'zoom-steward-client';

type AppTables = { members: { id: string } };

export async function fromPg(pool: Pool, transaction: PoolClient): Promise<MemberZoom | undefined> {
  const steward = createSteward({ db: pool, url: 'http://127.0.0.1:4000', serviceKey: 'key' });
  await steward.memberChanged(transaction, 'member');
  return steward.resolve('member');
}

export async function fromKysely(db: Kysely<AppTables>, trx: Transaction<AppTables>): Promise<Meeting> {
  const steward = createSteward({ db, url: 'http://127.0.0.1:4000', serviceKey: 'key' });
  await steward.eventTypeChanged(trx, 'event type');
  return steward.meetings.create({
    organizationId: 'organization',
    memberId: 'member',
    topic: 'Hello',
    startsAt: '2030-01-02T10:00:00+01:00',
    durationMinutes: 30,
    idempotencyKey: 'booking',
  });
}

export async function rawMeeting(db: Queryable): Promise<string> {
  const steward = createSteward({ db });
  return steward.withZoom({ meetingRef: 'ref' }, async ({ fetch, zoomMeetingId }) => {
    const answer = await fetch(`/meetings/${zoomMeetingId}`, { method: 'PATCH', body: { topic: 'Moved' } });
    return answer.statusText;
  });
}

export function toInvitee(error: unknown): string {
  if (!(error instanceof MeetingRefusedError)) return '';
  if (error.code === 'host_daily_limit') return String(error.retryAfterSeconds);
  // @ts-expect-error the codes are those of the table
  if (error.code === 'no_such_code') return '';
  return meetingRefusals[error.code].toInvitee;
}

export const mayTryAgain = (error: unknown): boolean => error instanceof StewardRequestError && error.retryable;

export function refused(db: Queryable): unknown[] {
  const steward = createSteward({ db });
  return [
    // @ts-expect-error an id is text
    steward.resolve(1),
    // @ts-expect-error a transaction comes first
    steward.memberChanged('member'),
    // @ts-expect-error there is no such method: the types are not `any`
    steward.noSuchMethod,
  ];
}
