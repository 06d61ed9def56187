import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import {
  extendDeadline,
  listEndedDeadlines,
  lookAtDeadline,
  lookAtDue,
  watchDeadlines,
} from '../../src/connections/deadline.ts';
import { releaseFleetGuard } from '../../src/connections/fleet-guard.ts';
import { requestDisconnect } from '../../src/connections/request-disconnect.ts';
import { requestVerification } from '../../src/connections/request-verification.ts';
import { verifyConnection } from '../../src/connections/verify-connection.ts';
import { countRefusal, endRefusals } from '../../src/http/meetings/obstacles.ts';
import { remindDeadlines } from '../../src/jobs/upkeep/remind-deadlines.ts';
import { until } from '../queues/support.ts';
import { useDatabase } from '../support/database.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import { accountWith, advance, connectActive, consent } from './connecting.ts';
import { advanceClock, advanceToMorning, connectionRow, insertOrganization, toldTypes } from './organization.ts';
import { failure, playConnections } from './scripted-zoom.ts';

async function setting(db: ReturnType<typeof useDatabase>['db'], timeZone = 'UTC') {
  const play = playConnections(db);
  const organization = await insertOrganization(db, { timeZone });
  const { connectionId, admin } = await connectActive(play, organization, `acc-${organization.id}`);
  const row = () => connectionRow(db, connectionId);
  const verify = () => verifyConnection(play.deps, connectionId);
  const told = async () => (await toldTypes(db, organization.id)).slice(1);
  /** Demoted at Zoom: listing users fails. */
  const demote = () => {
    play.scripted.zoom.override['users:active'] = () => failure('missing_permission', { status: 403 });
  };
  const promote = () => {
    delete play.scripted.zoom.override['users:active'];
  };
  const interrupt = async () => {
    demote();
    await verify();
    await advanceClock(db, '10 minutes');
    return verify();
  };
  const deliver = () =>
    sql`update steward.events set delivered_at = steward.now() where organization_id = ${organization.id}`.execute(db);
  return {
    db,
    play,
    ...play,
    organization,
    connectionId,
    admin,
    row,
    verify,
    told,
    demote,
    promote,
    interrupt,
    deliver,
  };
}

describe('verifying a connection', () => {
  const database = useDatabase();

  it('passes, and is due again in six hours, give or take a fifth', async () => {
    const { verify, row, told } = await setting(database.db);
    expect(await verify()).toEqual({ outcome: 'passed', resumed: false });
    const { verify_due_at, verified_at } = await row();
    const hours = (verify_due_at!.getTime() - verified_at!.getTime()) / 3_600_000;
    expect(hours).toBeGreaterThanOrEqual(4.8);
    expect(hours).toBeLessThanOrEqual(7.2);
    expect(await told()).toEqual([]);
  });

  it('is at risk when something expected is missing but calls work: told once, healed by itself, no clock', async () => {
    const { admin, verify, row, told } = await setting(database.db);
    admin.permissions = ['User:Edit'];
    expect(await verify()).toEqual({ outcome: 'at_risk', missing: ['permission: User:Read'] });
    await verify();
    expect(await row()).toMatchObject({
      state: 'active',
      generation: 2,
      at_risk_reason: 'permission: User:Read',
      deadline_at: null,
    });
    expect(await told()).toEqual(['connection.at_risk']);
    admin.permissions = ['User:Read', 'User:Edit'];
    await verify();
    expect(await row()).toMatchObject({ at_risk_reason: null });
    expect(await told()).toEqual(['connection.at_risk', 'connection.resumed']);
  });

  it('is interrupted by a second failing look ten minutes after the first, and resumes by itself', async () => {
    const { verify, row, told, demote, promote, db } = await setting(database.db);
    demote();
    expect(await verify()).toMatchObject({ outcome: 'suspect' });
    await advanceClock(db, '9 minutes 50 seconds');
    expect(await verify()).toMatchObject({ outcome: 'suspect' });
    expect(await row()).toMatchObject({ state: 'active', generation: 2 });
    await advanceClock(db, '10 seconds');
    expect(await verify()).toMatchObject({ outcome: 'interrupted' });
    expect(await row()).toMatchObject({
      state: 'interrupted',
      generation: 3,
      deadline_at: null,
      first_failed_at: null,
    });
    expect(await verify()).toMatchObject({ outcome: 'interrupted' });
    expect(await told()).toEqual(['connection.interrupted']);
    promote();
    expect(await verify()).toEqual({ outcome: 'passed', resumed: true });
    expect(await row()).toMatchObject({
      state: 'active',
      generation: 4,
      interrupted_reason: null,
      notice_event_seq: null,
    });
    expect(await told()).toEqual(['connection.interrupted', 'connection.resumed']);
    const runs = await db
      .selectFrom('steward.runs')
      .select(['cause', 'generation'])
      .where('connection_id', '=', (await row()).id)
      .orderBy('generation')
      .execute();
    expect(runs.map((run) => run.cause)).toEqual(['activated', 'interrupted', 'resumed']);
  });

  it('takes a passed look between two failing ones as the end of the suspicion', async () => {
    const { verify, row, demote, promote, db } = await setting(database.db);
    demote();
    await verify();
    promote();
    await verify();
    expect((await row()).first_failed_at).toBeNull();
    demote();
    await advanceClock(db, '1 hour');
    expect(await verify()).toMatchObject({ outcome: 'suspect' });
  });

  it.each(['server', 'network', 'rate_limited', 'application', 'unexpected'] as const)(
    'never changes a state on %s, however long; operators learn of it once after 24 hours',
    async (kind) => {
      const { verify, row, scripted, told, db } = await setting(database.db);
      const before = await row();
      scripted.zoom.override['me'] = () => failure(kind);
      for (let n = 0; n < 4; n += 1) {
        expect((await verify()).outcome).toBe('inconclusive');
        await advanceClock(db, '13 hours');
      }
      expect(await row()).toMatchObject({
        state: 'active',
        generation: before.generation,
        first_failed_at: null,
        verified_at: before.verified_at,
      });
      expect(await told()).toEqual(['connection.unverified']);
    },
  );

  it('a grant that is dead needs no second look of ours: it was looked at twice at the token endpoint', async () => {
    const { verify, row, scripted, admin, db, deps, connectionId } = await setting(database.db);
    scripted.zoom.revokeUser(admin.id);
    // The token is refused, a refresh is refused: the grant is suspect.
    expect((await verify()).outcome).not.toBe('interrupted');
    expect(await row()).toMatchObject({ state: 'active' });
    await advanceClock(db, '11 minutes');
    expect(await verify()).toMatchObject({ outcome: 'interrupted' });
    const grant = await db
      .selectFrom('steward.grants')
      .select(['state', 'dead_reason'])
      .where('id', '=', (await row()).grant_id!)
      .executeTakeFirstOrThrow();
    expect(grant).toEqual({ state: 'dead', dead_reason: 'revoked' });
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'interrupted' });
  });

  it('another admin of the same account reconnects: active again by the rule, nothing was lost', async () => {
    const { interrupt, row, play, organization, admin, deps, scripted, promote } = await setting(database.db);
    await interrupt();
    promote();
    scripted.zoom.revokeUser(admin.id);
    const other = { ...admin, id: `${admin.id}-2`, email: `boss@${organization.domain}` };
    const { candidateId } = await consent(play, organization, other);
    expect(await advance(deps, candidateId)).toMatchObject({ state: 'active' });
    expect(await row()).toMatchObject({
      state: 'active',
      zoom_account_id: admin.account,
      generation: 4,
      interrupted_at: null,
    });
  });

  it('discards a look that a disconnect overtook, in either direction', async () => {
    const { db, deps, connectionId, row, scripted, organization, told, demote } = await setting(database.db);
    for (const arrange of [demote, () => {}]) {
      arrange();
      scripted.zoom.override['me'] = async () => {
        delete scripted.zoom.override['me'];
        const { generation, state } = await row();
        if (state !== 'active') return null;
        await db.transaction().execute((trx) =>
          requestDisconnect(trx, {
            organizationId: organization.id,
            generation,
            typedName: organization.name,
            asker: { memberId: organization.owner.id },
          }),
        );
        return null;
      };
      expect(await verifyConnection(deps, connectionId)).toEqual({ outcome: 'not_applicable' });
    }
    expect(await row()).toMatchObject({ state: 'disconnecting', first_failed_at: null });
    expect(await told()).toEqual(['connection.disconnecting']);
  });

  it('discards a look that saw the grant dead when a consent filed it again before it was written', async () => {
    const { db, deps, connectionId, row, told, play, organization, admin, scripted, interrupt } = await setting(
      database.db,
    );
    const grantId = (await row()).grant_id as string;
    const die = () =>
      sql`update steward.grants set state = 'dead', dead_reason = 'revoked' where id = ${grantId}`.execute(db);
    await die();
    let looked = false;
    const slow = interceptTransactions(db, {
      before: async () => {
        if (looked) return;
        looked = true;
        await consent(play, organization, admin);
      },
    });
    expect(await verifyConnection({ ...deps, db: slow }, connectionId)).toEqual({ outcome: 'not_applicable' });
    expect(await row()).toMatchObject({ state: 'active', first_failed_at: null });
    // The same of what calls said about the consent before, and where the deadline ends.
    await interrupt();
    delete scripted.zoom.override['users:active'];
    expect(await row()).toMatchObject({ state: 'interrupted' });
    expect(await told()).toEqual(['connection.interrupted']);
    await sql`update steward.org_connections set deadline_at = steward.now() where id = ${connectionId}`.execute(db);
    await advanceToMorning(db, '1 hour');
    await watchDeadlines(db);
    await sql`update steward.org_connections set deadline_at = steward.now() - interval '1 minute' where id = ${connectionId}`.execute(
      db,
    );
    await die();
    looked = false;
    expect(await lookAtDeadline({ ...deps, db: slow }, connectionId)).toEqual({ outcome: 'not_applicable' });
    expect(await row()).toMatchObject({ state: 'interrupted' });
  });

  it('discards a look that saw the grant dead when the answer to a late refresh brought it back', async () => {
    const { db, deps, connectionId, row } = await setting(database.db);
    const grantId = (await row()).grant_id as string;
    await sql`update steward.grants set state = 'dead', dead_reason = 'refresh_lost' where id = ${grantId}`.execute(db);
    const slow = interceptTransactions(db, {
      before: () =>
        sql`update steward.grants set state = 'living', dead_reason = null where id = ${grantId}`.execute(db),
    });
    expect(await verifyConnection({ ...deps, db: slow }, connectionId)).toEqual({ outcome: 'not_applicable' });
    expect(await row()).toMatchObject({ state: 'active' });
  });

  it('discards a look at a grant that a reconnect replaced meanwhile', async () => {
    const { verify, row, scripted, play, organization, admin, deps, demote } = await setting(database.db);
    const other = { ...admin, id: `${admin.id}-2`, email: `boss@${organization.domain}` };
    const { candidateId } = await consent(play, organization, other);
    const before = await row();
    scripted.zoom.override['permissions'] = async () => {
      delete scripted.zoom.override['permissions'];
      expect(await advance(deps, candidateId)).toMatchObject({ state: 'active' });
      demote();
      return null;
    };
    expect(await verify()).toEqual({ outcome: 'not_applicable' });
    const after = await row();
    expect(after.grant_id).not.toBe(before.grant_id);
    expect(after).toMatchObject({ state: 'active', first_failed_at: null });
  });

  it('a look that began before another one passed is a first look, whatever it found', async () => {
    const { verify, row, demote, db, told, connectionId } = await setting(database.db);
    demote();
    await verify();
    await advanceClock(db, '10 minutes');
    const outcome = await db.transaction().execute(async (trx) => {
      // The passing look holds the connection's row when the failing one has found that it would be the second.
      await trx.selectFrom('steward.org_connections').select('id').where('id', '=', connectionId).forUpdate().execute();
      const failing = verify();
      await until('the failing look to wait for the row', async () => {
        const { rows } = await sql`
          select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
             and query ilike '%org_connections%for update%'`.execute(db);
        return rows.length === 1;
      });
      await trx
        .updateTable('steward.org_connections')
        .set({ first_failed_at: null, verified_at: sql`steward.now()` })
        .where('id', '=', connectionId)
        .execute();
      return { failing };
    });
    expect(await outcome.failing).toMatchObject({ outcome: 'suspect' });
    expect((await row()).state).toBe('active');
    expect(await told()).toEqual([]);
  });

  it('a look whose evidence is younger than ten minutes is no second look, however long it took', async () => {
    const { verify, row, scripted, demote, db } = await setting(database.db);
    demote();
    await verify();
    await advanceClock(db, '9 minutes');
    scripted.zoom.override['permissions'] = async () => {
      delete scripted.zoom.override['permissions'];
      await advanceClock(db, '2 minutes');
      return null;
    };
    expect(await verify()).toMatchObject({ outcome: 'suspect' });
    expect((await row()).state).toBe('active');
    expect(await verify()).toMatchObject({ outcome: 'interrupted' });
  });

  describe('with calls about meetings that Zoom refused', () => {
    const text = 'permission to make or change meetings';
    async function refusing(reason = 'missing_permission') {
      const it = await setting(database.db);
      await advanceClock(it.db, '1 minute');
      const refuse = async (zoomUserId = 'zu_ann') => {
        await countRefusal(it.db, { grantId: (await it.row()).grant_id as string, zoomUserId }, reason);
        await advanceClock(it.db, '1 second');
      };
      await refuse();
      const records = async () =>
        (
          await it.db
            .selectFrom('steward.call_breakers')
            .select('reason')
            .where('grant_id', '=', (await it.row()).grant_id)
            .execute()
        ).length;
      return { ...it, refuse, records };
    }

    it('says nothing about others while one host alone is refused, and nothing is listed as missing', async () => {
      const { verify, row, refuse, db } = await refusing();
      await sql`
        insert into steward.member_connections (organization_id, member_id, effective, reason, hosting, zoom_user_id, changed_at)
        select ${(await row()).organization_id}, gen_random_uuid(), 'organization', 'organization', 'can_host', host, steward.now()
          from unnest(array['zu_ann', 'zu_bob']) as h (host)`.execute(db);
      for (let again = 0; again < 4; again++) await refuse();
      const breaker = () => db.selectFrom('steward.call_breakers').selectAll().executeTakeFirstOrThrow();
      expect(await breaker()).toMatchObject({ failures: 2, several_hosts: false });
      expect(await verify()).toMatchObject({ outcome: 'passed' });
      await refuse('zu_bob');
      expect(await breaker()).toMatchObject({ failures: 3, several_hosts: true });
      expect(await verify()).toMatchObject({ outcome: 'suspect', missing: [text] });
      // A meeting works.
      await endRefusals(db, (await row()).grant_id as string);
      expect(await verify()).toMatchObject({ outcome: 'passed' });
    });

    it('counts the first as a first look, and interrupts by one that is ten minutes newer, however fine the lists are', async () => {
      const { verify, row, refuse, told, db } = await refusing();
      expect(await verify()).toMatchObject({ outcome: 'suspect', missing: [text] });
      await advanceClock(db, '9 minutes');
      await refuse();
      expect(await verify()).toMatchObject({ outcome: 'inconclusive' });
      await advanceClock(db, '2 minutes');
      // Ten minutes are over, but nothing was refused since then: a hiccup of Zoom would look the same.
      expect(await verify()).toMatchObject({ outcome: 'inconclusive' });
      expect((await row()).state).toBe('active');
      await refuse();
      expect(await verify()).toMatchObject({ outcome: 'interrupted', missing: [text] });
      expect(await row()).toMatchObject({ state: 'interrupted', interrupted_reason: text });
      expect(await verify()).toMatchObject({ outcome: 'interrupted' });
      expect(await told()).toEqual(['connection.interrupted']);
    });

    it('is refuted by a meeting that works, and by a day without another', async () => {
      const { verify, row, db, records } = await refusing('missing_scope');
      // Zoom names no scopes: then calls decide.
      await sql`update steward.grants set scopes = '{}' where id = ${(await row()).grant_id}`.execute(db);
      expect(await verify()).toMatchObject({ outcome: 'suspect', missing: ['scope: make or change meetings'] });
      await endRefusals(db, (await row()).grant_id as string);
      expect(await verify()).toEqual({ outcome: 'passed', resumed: false });
      expect((await row()).first_failed_at).toBeNull();
      const alone = await refusing();
      await alone.verify();
      await advanceClock(db, '24 hours');
      expect([await alone.verify(), await alone.records()]).toEqual([{ outcome: 'passed', resumed: false }, 0]);
      expect(await records()).toBe(0);
    });

    it('counts, while a list explains it, however old; and resumes when that is given back', async () => {
      const { verify, row, refuse, db, admin, records } = await refusing();
      admin.permissions = ['User:Read'];
      await verify();
      await advanceClock(db, '11 minutes');
      await refuse();
      expect(await verify()).toMatchObject({ outcome: 'interrupted', missing: [text, 'permission: User:Edit'] });
      await advanceClock(db, '5 days');
      expect(await verify()).toMatchObject({ outcome: 'interrupted' });
      admin.permissions = ['User:Read', 'User:Edit'];
      expect(await verify()).toEqual({ outcome: 'passed', resumed: true });
      expect([(await row()).state, await records()]).toEqual(['active', 0]);
    });

    it('says nothing once somebody consented again or asked for a look, nor where the token or we were refused', async () => {
      const { verify, organization, db } = await refusing();
      await db
        .transaction()
        .execute((trx) =>
          requestVerification(trx, { organizationId: organization.id, asker: { memberId: organization.owner.id } }),
        );
      expect(await verify()).toMatchObject({ outcome: 'passed' });
      const again = await refusing();
      await sql`update steward.grants set consented_at = steward.now() where id = ${(await again.row()).grant_id}`.execute(
        db,
      );
      expect(await again.verify()).toMatchObject({ outcome: 'passed' });
      for (const reason of ['token', 'application'])
        expect(await (await refusing(reason)).verify()).toMatchObject({ outcome: 'passed' });
    });
  });
});

describe('the deadline', () => {
  const database = useDatabase();

  it('starts when the notice was delivered, not before, and ends in working hours of the time zone', async () => {
    const { db, interrupt, deliver, row } = await setting(database.db, 'America/New_York');
    await interrupt();
    await watchDeadlines(db);
    expect((await row()).deadline_at).toBeNull();
    await deliver();
    await watchDeadlines(db);
    const { rows } = await sql<{ day: number; hour: number; atLeast: boolean; atMost: boolean }>`
      select extract(isodow from c.deadline_at at time zone 'America/New_York')::int as day,
             extract(epoch from (c.deadline_at at time zone 'America/New_York')::time)::float8 / 3600 as hour,
             c.deadline_at >= e.delivered_at + interval '14 days' as "atLeast", c.deadline_at <= e.delivered_at + interval '18 days' as "atMost"
        from steward.org_connections c join steward.events e on e.seq = c.notice_event_seq where c.id = ${(await row()).id}`.execute(
      db,
    );
    expect(rows[0]).toMatchObject({ atLeast: true, atMost: true });
    expect(rows[0]!.day).toBeLessThanOrEqual(5);
    expect(rows[0]!.hour).toBeGreaterThanOrEqual(9);
    expect(rows[0]!.hour).toBeLessThan(17);
  });

  it.each([
    ['2026-03-06 16:59+00', 'UTC', '2026-03-06 16:59+00'],
    ['2026-03-06 17:00+00', 'UTC', '2026-03-09 09:00+00'],
    ['2026-03-07 03:00+00', 'America/New_York', '2026-03-09 13:00+00'],
    ['2026-03-09 12:59+00', 'America/New_York', '2026-03-09 13:00+00'],
    ['2026-03-09 08:59+00', 'UTC', '2026-03-09 09:00+00'],
    ['2026-03-08 00:00+00', 'Asia/Tokyo', '2026-03-09 00:00+00'],
    ['2026-03-07 12:00+00', 'No/Such_Zone', '2026-03-09 09:00+00'],
  ])('working time from %s in %s is %s', async (at, zone, expected) => {
    const { rows } = await sql<{ same: boolean }>`
      select steward.working_time_from(${at}::timestamptz, ${zone}) = ${expected}::timestamptz as same`.execute(
      database.db,
    );
    expect(rows[0]?.same).toBe(true);
  });

  it('cascades only when the last look fails: passed resumes, inconclusive waits', async () => {
    const { db, interrupt, deliver, row, deps, connectionId, scripted, promote, demote, told } = await setting(
      database.db,
    );
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    expect(await lookAtDeadline(deps, connectionId)).toEqual({ outcome: 'not_applicable' });
    await advanceToMorning(db, '19 days');
    scripted.zoom.override['me'] = () => failure('server');
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'inconclusive' });
    expect((await row()).state).toBe('interrupted');
    // Waits, and does not look again with every tick.
    expect(await listEndedDeadlines(db)).toEqual([]);
    delete scripted.zoom.override['me'];
    await advanceClock(db, '10 minutes');
    expect(await listEndedDeadlines(db)).toEqual([connectionId]);
    promote();
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'passed', resumed: true });
    expect(await row()).toMatchObject({ state: 'active', deadline_at: null });
    demote();
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    await advanceToMorning(db, '19 days');
    const both = await Promise.all([lookAtDue(deps, connectionId), lookAtDue(deps, connectionId)]);
    expect(both.map((look) => look.outcome).sort()).toEqual(['disconnecting', 'not_applicable']);
    const after = await row();
    expect(after).toMatchObject({ state: 'disconnecting', disconnect_cause: 'deadline' });
    const run = await db
      .selectFrom('steward.runs')
      .selectAll()
      .where('connection_id', '=', connectionId)
      .where('generation', '=', after.generation)
      .executeTakeFirstOrThrow();
    expect(run).toMatchObject({ cascade: true, cause: 'disconnect' });
    expect((await told()).at(-1)).toBe('connection.disconnecting');
  });

  it('never starts with reconnect_days never, does not run out under observe_only, and can be extended', async () => {
    const { db, interrupt, deliver, row, organization, deps, connectionId } = await setting(database.db);
    await sql`insert into steward.organization_settings (organization_id, reconnect_days) values (${organization.id}, null)`.execute(
      db,
    );
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    expect((await row()).deadline_at).toBeNull();
    await sql`update steward.organization_settings set reconnect_days = 3 where organization_id = ${organization.id}`.execute(
      db,
    );
    await watchDeadlines(db);
    const first = (await row()).deadline_at!;
    const extended = await db
      .transaction()
      .execute((trx) => extendDeadline(trx, { connectionId, days: 7, asker: { memberId: organization.admin.id } }));
    expect(extended.getTime() - first.getTime()).toBeGreaterThanOrEqual(7 * 86_400_000);
    await expect(
      db
        .transaction()
        .execute((trx) =>
          extendDeadline(trx, { connectionId, days: 7, asker: { memberId: organization.people[0]!.id } }),
        ),
    ).rejects.toMatchObject({ code: 'forbidden' });
    await advanceToMorning(db, '40 days');
    await sql`insert into steward.switches (name, reason, actor, since) values ('observe_only', 'test', 'operator:ana', steward.now())`.execute(
      db,
    );
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'interrupted' });
    expect((await row()).state).toBe('interrupted');
    await sql`delete from steward.switches`.execute(db);
  });

  it('is told when it starts and 7, 3 and 1 day before its end, once each, with what its end would cost', async () => {
    const { db, interrupt, deliver, row, told, organization, connectionId } = await setting(database.db);
    const costs = { membersLosingHosting: 6, locationsRemoved: 2 };
    let asked = 0;
    const remind = () =>
      remindDeadlines(db, {
        previewDisconnect: async (id) => {
          if (id === organization.id) asked += 1;
          return costs;
        },
      });
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    await remind();
    expect(await told()).toEqual(['connection.interrupted', 'connection.deadline_started']);
    // A deadline ends in working hours, so how long it runs depends on the day.
    const advanceUntilLeft = async (days: number) => {
      const { deadline_at } = await row();
      await sql`
        update steward.clock set offset_by = offset_by + (${deadline_at}::timestamptz - ${days} * interval '1 day' + interval '1 minute' - steward.now())`.execute(
        db,
      );
    };
    for (const days of [7, 3, 1]) {
      await advanceUntilLeft(days);
      await Promise.all([remind(), remind()]);
      await remind();
    }
    const reminders = await db
      .selectFrom('steward.events')
      .select('data')
      .where('type', '=', 'connection.deadline_reminder')
      .where('organization_id', '=', organization.id)
      .orderBy('seq')
      .execute();
    expect(reminders.map(({ data }) => data)).toMatchObject([7, 3, 1].map((daysLeft) => ({ daysLeft, ...costs })));
    // More time: it begins again. None is told while an operator holds the clocks.
    await db
      .transaction()
      .execute((trx) => extendDeadline(trx, { connectionId, days: 4, asker: { memberId: organization.owner.id } }));
    await sql`insert into steward.switches (name, reason, actor, since) values ('observe_only', 'test', 'operator:ana', steward.now())`.execute(
      db,
    );
    await advanceUntilLeft(3);
    asked = 0;
    await remind();
    expect(asked).toBe(0);
    await sql`delete from steward.switches`.execute(db);
    await remind();
    expect(asked).toBe(1);
  });

  it('that runs, and is set to never meanwhile, ends nothing', async () => {
    const { db, interrupt, deliver, row, organization, deps, connectionId } = await setting(database.db);
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    expect((await row()).deadline_at).not.toBeNull();
    await sql`insert into steward.organization_settings (organization_id, reconnect_days) values (${organization.id}, null)`.execute(
      db,
    );
    await watchDeadlines(db);
    await advanceToMorning(db, '100 days');
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'interrupted' });
    expect(await row()).toMatchObject({ state: 'interrupted', deadline_at: null });
  });

  it('does not end outside working hours, also where the last look had to wait', async () => {
    const { db, interrupt, deliver, row, deps, connectionId } = await setting(database.db);
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    await advanceToMorning(db, '19 days');
    // Half past five in the afternoon: a job that comes late.
    await advanceClock(db, '8 hours');
    expect(await listEndedDeadlines(db)).not.toContain(connectionId);
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'interrupted' });
    await advanceToMorning(db, '0 seconds');
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'disconnecting' });
    expect((await row()).state).toBe('disconnecting');
  });

  it('that passed while our workers were down does not end by a job that comes before the watch', async () => {
    const { db, interrupt, deliver, row, deps, connectionId } = await setting(database.db);
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    await advanceToMorning(db, '19 days');
    await sql`update steward.installation set value = to_jsonb(clock_timestamp() - interval '3 days') where key = 'deadlines.watched_at'`.execute(
      db,
    );
    expect(await listEndedDeadlines(db)).not.toContain(connectionId);
    expect(await lookAtDue(deps, connectionId)).toMatchObject({ outcome: 'interrupted' });
    expect(await lookAtDeadline(deps, connectionId)).toEqual({ outcome: 'not_applicable' });
    expect((await row()).state).toBe('interrupted');
  });

  it('moves by the time in which our workers were down', async () => {
    const { db, interrupt, deliver, row } = await setting(database.db);
    await interrupt();
    await deliver();
    await watchDeadlines(db);
    const before = (await row()).deadline_at!;
    await watchDeadlines(db);
    expect((await row()).deadline_at).toEqual(before);
    await sql`update steward.installation set value = to_jsonb(clock_timestamp() - interval '3 days') where key = 'deadlines.watched_at'`.execute(
      db,
    );
    await watchDeadlines(db);
    expect((await row()).deadline_at!.getTime() - before.getTime()).toBeGreaterThanOrEqual(3 * 86_400_000);
  });
});

describe('the fleet guard', () => {
  const database = useDatabase({ max: 20 });

  it('holds when more than three of a client id fail within an hour: no state changes, nobody is told, an operator releases', async () => {
    const { db } = database;
    const fleet = await Promise.all([1, 2, 3, 4, 5].map(() => setting(db)));
    for (const one of fleet) one.demote();
    for (const one of fleet) expect(await one.verify()).toMatchObject({ outcome: 'suspect' });
    await advanceClock(db, '10 minutes');
    for (const one of fleet) expect(await one.verify()).toMatchObject({ outcome: 'held' });
    for (const one of fleet) expect((await one.row()).state).toBe('active');
    for (const one of fleet) expect(await one.told()).toEqual([]);
    const closed = await db
      .selectFrom('steward.audit_log')
      .select('action')
      .where('action', '=', 'fleet_guard.closed')
      .execute();
    expect(closed).toHaveLength(1);
    const switches = await db.selectFrom('steward.switches').select(['name', 'actor']).execute();
    expect(switches).toEqual([{ name: 'pause_declaring', actor: 'schedule' }]);
    fleet[0]!.promote();
    expect(await fleet[0]!.verify()).toMatchObject({ outcome: 'passed' });
    await db
      .transaction()
      .execute((trx) => releaseFleetGuard(trx, { actor: 'operator:ana', reason: 'they were all demoted, checked' }));
    const [, ...others] = fleet;
    expect((await Promise.all(others.map((one) => one.verify()))).map((look) => look.outcome)).toEqual([
      'interrupted',
      'interrupted',
      'interrupted',
      'interrupted',
    ]);
  });

  it('does not close again over what was declared during a release', async () => {
    const { db } = database;
    const release = { actor: 'operator:ana', reason: 'these as well, checked' } as const;
    await db.transaction().execute((trx) => releaseFleetGuard(trx, release));
    const lost = async (count: number) => {
      const fleet = await Promise.all(Array.from({ length: count }, () => setting(db)));
      for (const one of fleet) {
        one.demote();
        await one.verify();
      }
      await advanceClock(db, '10 minutes');
      return Promise.all(fleet.map(async (one) => (await one.verify()).outcome));
    };
    await advanceClock(db, '45 minutes');
    expect(await lost(4)).toEqual(Array(4).fill('interrupted'));
    // The hour of the release is over by now; that of the four is not.
    expect(await lost(1)).toEqual(['interrupted']);
    expect(await db.selectFrom('steward.switches').select('name').execute()).toEqual([]);
    expect(await lost(4)).toEqual(Array(4).fill('held'));
    await db.transaction().execute((trx) => releaseFleetGuard(trx, release));
  });

  it('lets three through, at once', async () => {
    const { db } = database;
    await advanceClock(db, '3 hours');
    const fleet = await Promise.all([1, 2, 3].map(() => setting(db)));
    await sql`update steward.org_connections set interrupted_at = steward.now() - interval '2 hours' where state = 'interrupted'`.execute(
      db,
    );
    for (const one of fleet) {
      one.demote();
      await one.verify();
    }
    await advanceClock(db, '10 minutes');
    const looks = await Promise.all(fleet.map((one) => one.verify()));
    expect(looks.map((look) => look.outcome)).toEqual(['interrupted', 'interrupted', 'interrupted']);
  });

  it('is not closed by a last look that passes', async () => {
    const { db } = database;
    await advanceClock(db, '3 hours');
    const fleet = await Promise.all([1, 2, 3, 4].map(() => setting(db)));
    const [one, ...others] = fleet as [(typeof fleet)[number], ...typeof fleet];
    await one.interrupt();
    await one.deliver();
    await watchDeadlines(db);
    await advanceToMorning(db, '19 days');
    for (const other of others) {
      other.demote();
      await other.verify();
    }
    one.promote();
    expect(await lookAtDeadline(one.deps, one.connectionId)).toEqual({ outcome: 'passed', resumed: true });
    expect(await db.selectFrom('steward.switches').select('name').execute()).toEqual([]);
  });

  it('declares nobody lost while Zoom does not say who just consented', async () => {
    const { db } = database;
    await advanceClock(db, '3 hours');
    const one = await setting(db);
    one.demote();
    await one.verify();
    await advanceClock(db, '10 minutes');
    const other = await insertOrganization(db);
    one.scripted.zoom.override['me'] = () => failure('server');
    await consent(one.play, other, accountWith(one.scripted, 'unknown', [], 'who@ever.example'));
    delete one.scripted.zoom.override['me'];
    expect(await one.verify()).toEqual({ outcome: 'held', why: 'unidentified_candidate' });
  });
});
