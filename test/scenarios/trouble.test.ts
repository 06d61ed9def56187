import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { createEvents } from '../../src/client/events.ts';
import { lookAtDue, watchDeadlines } from '../../src/connections/deadline.ts';
import { verifyConnection } from '../../src/connections/verify-connection.ts';
import { sequenceEvents } from '../../src/db/event-delivery-repository.ts';
import { recordRewound } from '../../src/grants/rewound.ts';
import { checkKeys } from '../../src/queues/preflight.ts';
import { useDatabase } from '../support/database.ts';
import { adminClient, play, profiles } from './stage.ts';

const database = useDatabase();

describe.each(profiles)('trouble of our own, and of others, at a $name Zoom', (profile) => {
  it('a database that was put back in time: what Zoom refuses is named restored, what it takes lives on', async () => {
    const zoom = await play(database.db, profile);
    const [acme, bolt] = [await zoom.organization('acc_a'), await zoom.organization('acc_b')];
    const spent = await zoom.connect(acme, 'acc_a_admin');
    const good = await zoom.connect(bolt, 'acc_b_admin');
    await zoom.wait(61);
    const { rows } = await sql<{ now: Date }>`select steward.now() as now`.execute(zoom.db);
    const backup = await zoom.grant(spent.grant_id);
    await zoom.wait(1);
    // Rotated after the backup; then the backup is restored.
    expect(await zoom.works(acme)).toBe(true);
    const { sealed_access, sealed_refresh, version, refreshed_at, access_expires_at } = backup;
    await zoom.db
      .updateTable('steward.grants')
      .set({ sealed_access, sealed_refresh, version, refreshed_at, access_expires_at })
      .where('id', '=', backup.id)
      .execute();
    await sql`delete from steward.refresh_attempts where grant_id = ${backup.id}`.execute(zoom.db);
    const fresh = zoom.processOf();
    await zoom.db
      .transaction()
      .execute((trx) => recordRewound(trx, { to: rows[0]!.now, actor: 'operator:jo', reason: 'restored' }));
    for (let look = 0; look < 4; look += 1) {
      await verifyConnection(fresh, spent.id);
      await verifyConnection(fresh, good.id);
      await zoom.wait(11);
      await fresh.grants.secondLook(backup.id);
    }
    // A Zoom that gave no new refresh token takes the one of the backup: nothing is lost, and nobody is told so.
    const lost = zoom.simulator.control.toggles().token_success !== 'refresh_token_null';
    expect(await zoom.grant(spent.grant_id)).toMatchObject(
      lost ? { state: 'dead', dead_reason: 'restored' } : { state: 'living', dead_reason: null, suspect_since: null },
    );
    expect(await zoom.grant(good.grant_id)).toMatchObject({ state: 'living' });
    expect(await zoom.connection(acme)).toMatchObject(
      lost
        ? { state: 'interrupted', interrupted_reason: 'access: restored' }
        : { state: 'active', generation: spent.generation, interrupted_reason: null, first_failed_at: null },
    );
    expect((await zoom.told(acme)).includes('connection.interrupted')).toBe(lost);
    if (!lost) expect(await zoom.works(acme)).toBe(true);
    expect((await zoom.connection(bolt)).state).toBe('active');
    await zoom.approve(acme, 'acc_a_admin');
    await zoom.settle();
    expect(await zoom.connection(acme)).toMatchObject({ state: 'active', interrupted_reason: null });
  });

  it('a process without the key: it does not start, and one that does declares nobody lost and says so', async () => {
    const zoom = await play(database.db, profile);
    const acme = await zoom.organization('acc_a');
    const before = await zoom.connect(acme, 'acc_a_admin');
    const other = zoom.processOf({ id: 'other', fill: 9 });
    await expect(checkKeys(zoom.db, other.vault)).rejects.toMatchObject({ code: 'key_missing' });
    for (let look = 0; look < 3; look += 1) {
      expect(await verifyConnection(other, before.id)).toMatchObject({ outcome: 'inconclusive' });
      await zoom.wait(11);
    }
    expect(await zoom.connection(acme)).toMatchObject({ state: 'active', first_failed_at: null });
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from steward.audit_log where action = 'connection.vault_unreadable'`.execute(zoom.db);
    expect(rows[0]!.n).toBeGreaterThan(0);
    expect(await verifyConnection(zoom.deps, before.id)).toMatchObject({ outcome: 'passed' });
    expect(await zoom.works(acme)).toBe(true);
  });

  it('the echo of our own revocation after a reconnect changes nothing; a signing-oracle attempt gets nothing', async () => {
    // Late whatever the profile says: the echo must come after the reconnect, and come, as it does to a public app.
    const zoom = await play(database.db, profile, {
      revoke_reach: 'account',
      webhook_delivery: 'late',
      deauthorized_event: 'public_app',
    });
    const acme = await zoom.organization('acc_a');
    const url = await zoom.listen();
    const { id, grant_id } = await zoom.connect(acme, 'acc_a_admin');
    await zoom.disconnect(acme);
    await zoom.settle();
    await zoom.tick();
    expect(await zoom.grant(grant_id)).toMatchObject({ state: 'gone', revoke_outcome: 'revoked' });
    const after = await zoom.connect(acme, 'acc_a_admin');
    await zoom.wait(41);
    await zoom.control.settleWebhooks();
    const told = zoom.control.webhookAttempts().filter(({ event }) => event === 'app_deauthorized');
    expect(told.map(({ status }) => status)).toEqual([200]);
    await zoom.settle();
    await zoom.wait(16);
    await zoom.settle();
    const { state, generation } = await zoom.connection(acme);
    expect({ state, generation }).toEqual({ state: 'active', generation: after.generation });
    const { rows } = await sql<{ reason: string }>`
      select reason from steward.audit_log where action = 'connection.app_deauthorized' and subject_id = ${id}`.execute(
      zoom.db,
    );
    expect(rows).toEqual([{ reason: 'app_deauthorized: the echo of our own revocation' }]);

    const payload = { account_id: 'acc_a', client_id: adminClient.clientId };
    expect(await zoom.control.trySigning({ url, body: { event: 'app_deauthorized', payload } })).toEqual({
      validation: 400,
      stolen: false,
    });
    await zoom.settle();
    expect((await zoom.connection(acme)).state).toBe('active');
    expect(await zoom.works(acme)).toBe(true);
    expect(zoom.simulator.judge().findings).toEqual([]);
  });

  it('a deadline that ended while all workers were down: it moves by the outage, and nobody is disconnected without a last look', async () => {
    const zoom = await play(database.db, profile, { demotion: 'revokes' });
    const { db } = zoom;
    const acme = await zoom.organization('acc_a');
    const { id } = await zoom.connect(acme, 'acc_a_admin');
    zoom.control.revokeGrants({ clientId: adminClient.clientId, accountId: 'acc_a' });
    for (let look = 0; look < 6 && (await zoom.connection(acme)).state === 'active'; look += 1) {
      await sql`update steward.org_connections set verify_due_at = steward.now()`.execute(db);
      await zoom.wait(11);
      await zoom.tick();
    }
    expect(await zoom.connection(acme)).toMatchObject({ state: 'interrupted', deadline_at: null });
    // The main app takes the notice; the clock runs from then.
    await sequenceEvents(db, 100);
    const events = createEvents(db as never);
    await events.taken({ position: (await events.read()).at(-1)!.position });
    await zoom.tick();
    const before = await zoom.connection(acme);
    expect(before.deadline_at!.getTime()).toBeGreaterThan(before.interrupted_at!.getTime() + 13 * 86_400_000);

    // Nobody watches for thirty days; the first thing that comes back is a job that had waited.
    await zoom.wait(30 * 24 * 60);
    await sql`
      update steward.installation set value = to_jsonb(clock_timestamp() - interval '30 days') where key = 'deadlines.watched_at'`.execute(
      db,
    );
    expect((await lookAtDue(zoom.deps, id)).outcome).not.toBe('disconnecting');
    expect((await zoom.connection(acme)).state).toBe('interrupted');
    await zoom.tick();
    const after = await zoom.connection(acme);
    expect(after.state).toBe('interrupted');
    expect(after.deadline_at!.getTime()).toBeGreaterThanOrEqual(before.deadline_at!.getTime() + 30 * 86_400_000);

    // It ends, by a look that fails.
    const { rows } = await sql<{ minutes: number }>`
      select ceil(extract(epoch from deadline_at - steward.now()) / 60)::int + 1 as minutes from steward.org_connections where id = ${id}`.execute(
      db,
    );
    await zoom.wait(rows[0]!.minutes);
    await watchDeadlines(db);
    const looked = await lookAtDue(zoom.deps, id);
    expect(looked.outcome).toBe('disconnecting');
    expect(await zoom.connection(acme)).toMatchObject({ state: 'disconnecting', disconnect_cause: 'deadline' });
    expect((await zoom.told(acme)).filter((type) => type.startsWith('connection.dis'))).toEqual([
      'connection.disconnecting',
    ]);
  });
});
