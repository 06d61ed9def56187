import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { tellAgingConsents } from '../../src/connections/aging-consents.ts';
import { useDatabase } from '../support/database.ts';
import { advance, connectActive, consent } from './connecting.ts';
import { advanceClock, connectionRow, insertOrganization } from './organization.ts';
import { playConnections } from './scripted-zoom.ts';

const database = useDatabase();
const dayMs = 24 * 60 * 60_000;
const days = (count: number): string => `${count} days`;

it('owners are asked at day 76 to have it consented again, once a consent, until grants are known to live on', async () => {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const { connectionId, admin } = await connectActive(play, organization, `acc-${organization.id}`);
  const told = async () =>
    (
      await db
        .selectFrom('steward.events')
        .select(['subject_id', 'data'])
        .where('organization_id', '=', organization.id)
        .where('type', '=', 'connection.consent_aging')
        .orderBy('seq')
        .execute()
    ).map(({ subject_id, data }) => ({
      subject_id,
      data: data as unknown as { consentedAt: string; endsAbout: string },
    }));

  await advanceClock(db, days(75));
  expect(await tellAgingConsents(db)).toBe(0);
  await advanceClock(db, days(1.1));
  expect(await Promise.all([tellAgingConsents(db), tellAgingConsents(db)])).toEqual(expect.arrayContaining([1, 0]));
  expect(await tellAgingConsents(db)).toBe(0);
  const [first] = await told();
  expect(first?.subject_id).toBe(connectionId);
  expect(Date.parse(first?.data.endsAbout ?? '') - Date.parse(first?.data.consentedAt ?? '')).toBe(90 * dayMs);

  // A new consent starts again.
  const { candidateId } = await consent(play, organization, admin);
  await advance(play.deps, candidateId);
  await advanceClock(db, days(75));
  expect(await tellAgingConsents(db)).toBe(0);
  await advanceClock(db, days(2));
  expect(await tellAgingConsents(db)).toBe(1);
  expect(await told()).toHaveLength(2);

  // A connection that is no more needs no consent, and no grant of anybody else proves anything at 91 days.
  const other = await insertOrganization(db);
  const { connectionId: otherId } = await connectActive(play, other, `acc-${other.id}`);
  const { grant_id: otherGrant } = await connectionRow(db, otherId);
  await sql`update steward.grants set consented_at = steward.now() - interval '91 days', refreshed_at = steward.now() where id = ${otherGrant}`.execute(
    db,
  );
  await sql`update steward.org_connections set state = 'none' where id = ${otherId}`.execute(db);
  expect(await tellAgingConsents(db)).toBe(0);
  await sql`update steward.org_connections set state = 'active' where id = ${otherId}`.execute(db);
  expect(await tellAgingConsents(db)).toBe(1);

  // Refreshed 93 days after its consent: it is known from now on, also when the evidence is gone.
  await sql`update steward.grants set consented_at = steward.now() - interval '93 days', age_told_at = null where id = ${otherGrant}`.execute(
    db,
  );
  expect(await tellAgingConsents(db)).toBe(0);
  await sql`update steward.grants set consented_at = steward.now() - interval '77 days', age_told_at = null where id = ${otherGrant}`.execute(
    db,
  );
  expect(await tellAgingConsents(db)).toBe(0);
  const { rows } = await sql`select from steward.audit_log where action = 'grants.live_past_90_days'`.execute(db);
  expect(rows).toHaveLength(1);
});
