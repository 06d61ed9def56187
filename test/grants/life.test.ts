import { afterEach, expect, test } from 'vitest';
import { releaseGrant } from '../../src/grants/release.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import { createZoomApi } from '../../src/zoom/api.ts';
import { simulatorEndpoints } from '../../src/zoom/endpoints.ts';
import { useDatabase } from '../support/database.ts';
import { endAccessToken, grantRow } from './setting.ts';
import { createSimulatedZoom, simulatedClient } from './simulated-zoom.ts';

const minuteMs = 60_000;
/** Of all profiles in which two readings meet, these are lived in every run; `npm run scenarios` lives all of them. */
const sample = [0, 1, 9, 27, 44];

const database = useDatabase();
const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

const all = pairwiseProfiles().map((toggles, at) => ({ at, toggles }));
const profiles = process.env['STEWARD_SCENARIOS'] === 'all' ? all : all.filter(({ at }) => sample.includes(at));

// A life of a grant at every pair of Zoom's readings: 0 is kind, 1 is cruel.
test.each(profiles)(
  'consent, refresh, lost answer, second look, consent again, end: profile $at',
  async ({ toggles }) => {
    const { db } = database;
    const simulator: Simulator = await startSimulator({ toggles });
    const zoom = createSimulatedZoom(() => simulator);
    const api = createZoomApi({ endpoints: simulatorEndpoints(simulator.url) });
    open.push({ stop: async () => api.close() }, simulator);
    const filed = await zoom.fileByConsent(db);
    const { grantId } = filed;
    const grants = zoom.grants(db);
    const version = async () => Number((await grantRow(db, grantId)).version);
    const first = await version();
    const works = async () => {
      const me = await grants.call(grantId, (auth) => api.me(auth));
      expect(me).toMatchObject({ kind: 'answer', answer: { ok: true, value: { id: filed.userId } } });
    };
    await works();
    expect(await version()).toBe(first + 1);

    await endAccessToken(db, grantId);
    simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'reset', when: 'after' });
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'outcome_unknown' });
    await zoom.advance(db, 61_000);
    const looked = await grants.secondLook(grantId);
    if (toggles.token_success === 'refresh_token_null') {
      // Zoom kept the refresh token: nothing was lost with the answer.
      expect(looked).toEqual({ kind: 'looked', state: 'living' });
    } else {
      expect(looked).toEqual({ kind: 'looked', state: 'suspect' });
      await zoom.advance(db, 11 * minuteMs);
      expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'dead' });
      expect(await grants.accessToken(grantId)).toEqual({ kind: 'dead', reason: 'refresh_lost' });
    }

    const before = await version();
    expect((await zoom.fileByConsent(db, filed)).grantId).toBe(grantId);
    await works();
    expect(await version()).toBe(before + 2);

    const released = await db
      .transaction()
      .execute((trx) => releaseGrant(trx, { grantId, organizationId: null, actor: 'schedule', reason: 'test' }));
    expect(released).toBe('retiring');
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
    expect(await grantRow(db, grantId)).toMatchObject({ state: 'gone', sealed_access: null, sealed_refresh: null });
    // The first consent's family may live on where Zoom keeps it; nobody holds its tokens.
    const left = simulator.control
      .grants()
      .filter((one) => one.grant === `${simulatedClient.clientId}/${filed.accountId}/${filed.userId}`);
    expect(left.at(-1)?.ended).not.toBeNull();
    expect(simulator.judge({ quietMs: 45_000 }).findings).toEqual([]);
    await grants.close();
  },
);
