import { describe, expect, it } from 'vitest';
import { confirmCandidate } from '../../src/connections/confirm-candidate.ts';
import type { TestOrganization } from '../connections/organization.ts';
import { useDatabase } from '../support/database.ts';
import { type Play, play, profiles } from './stage.ts';

const database = useDatabase();

/** Connects, with the click where the rule wants one. */
async function connect(zoom: Play, of: TestOrganization, user: string): Promise<void> {
  const { candidateId } = await zoom.approve(of, user);
  await zoom.settle();
  if ((await zoom.candidate(candidateId)).state !== 'awaiting_confirmation') return;
  const asker = { memberId: of.owner.id };
  await zoom.db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker }));
  await zoom.settle();
}

const revoked = (zoom: Play) => zoom.simulator.ledger().filter((call) => call.endpoint === 'oauth.revoke').length;

describe.each(profiles)('one Zoom account in two organizations, at a $name Zoom', (profile) => {
  it('the same admin connects both: one grant; each disconnects and reconnects without hurting the other', async () => {
    const zoom = await play(database.db, profile);
    const [acme, bolt] = [await zoom.organization('acc_a'), await zoom.organization('acc_a')];
    await connect(zoom, acme, 'acc_a_admin');
    await connect(zoom, bolt, 'acc_a_admin');
    const both = async () => [await zoom.connection(acme), await zoom.connection(bolt)] as const;
    const [first, second] = await both();
    expect([first.state, second.state, first.grant_id === second.grant_id]).toEqual(['active', 'active', true]);
    expect(await zoom.told(acme)).toEqual(['connection.activated', 'connection.account_shared']);

    for (const [leaving, staying] of [
      [acme, bolt],
      [bolt, acme],
    ] as const) {
      await zoom.disconnect(leaving);
      await zoom.settle();
      await zoom.tick();
      expect(await zoom.connection(leaving)).toMatchObject({ state: 'none', grant_id: null });
      expect(await zoom.connection(staying)).toMatchObject({ state: 'active' });
      expect(await zoom.works(staying)).toBe(true);
      expect(revoked(zoom)).toBe(0);
      await connect(zoom, leaving, 'acc_a_admin');
      expect((await both()).map((row) => row.state)).toEqual(['active', 'active']);
      expect([await zoom.works(acme), await zoom.works(bolt)]).toEqual([true, true]);
    }
    const [again, too] = await both();
    expect([again.id, too.id, again.grant_id === too.grant_id]).toEqual([first.id, second.id, true]);
    // The last one to leave revokes.
    await zoom.disconnect(acme);
    await zoom.settle();
    await zoom.disconnect(bolt);
    await zoom.settle();
    await zoom.tick();
    expect(await zoom.grant(too.grant_id)).toMatchObject({ state: 'gone', revoke_outcome: 'revoked' });
    expect(revoked(zoom)).toBe(1);
    expect(zoom.simulator.judge().findings).toEqual([]);
  });

  it('two admins connect one each: two grants, one directory; the first to leave calls nothing at Zoom', async () => {
    const zoom = await play(database.db, profile, { other_admin_consent: 'keeps' });
    const [acme, bolt] = [await zoom.organization('acc_a'), await zoom.organization('acc_a')];
    await connect(zoom, acme, 'acc_a_admin');
    await connect(zoom, bolt, 'acc_a_owner');
    const [first, second] = [await zoom.connection(acme), await zoom.connection(bolt)];
    expect(first.grant_id).not.toBe(second.grant_id);
    await zoom.disconnect(acme);
    await zoom.settle();
    await zoom.tick();
    expect(await zoom.grant(first.grant_id)).toMatchObject({
      state: 'gone',
      revoke_outcome: 'not_revoked: account in use',
    });
    expect(revoked(zoom)).toBe(0);
    expect(await zoom.works(bolt)).toBe(true);
    const { rows } = { rows: await zoom.db.selectFrom('steward.directories').select('zoom_account_id').execute() };
    expect(rows).toHaveLength(1);
    await zoom.disconnect(bolt);
    await zoom.settle();
    // Unused directories are looked for every five minutes.
    await zoom.wait(6);
    await zoom.tick();
    expect(revoked(zoom)).toBe(1);
    expect(await zoom.db.selectFrom('steward.directories').select('zoom_account_id').execute()).toEqual([]);
  });
});
