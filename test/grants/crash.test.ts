import { describe, expect, test, vi } from 'vitest';
import type { CrashPoint } from '../../src/grants/crash-points.ts';
import { listDueGrants } from '../../src/grants/grant-repository.ts';
import type { Grants } from '../../src/grants/grants.ts';
import { releaseGrant } from '../../src/grants/release.ts';
import { useDatabase } from '../support/database.ts';
import { type RefresherOrder, startRefresher } from './refresher-process.ts';
import { grantRow, outcomes } from './setting.ts';
import { simulatedClient, useSimulatedZoom } from './simulated-zoom.ts';

// Starting a process takes long on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const minute = 60_000;
/** lease and margin: from then on nobody can still be sending */
const overMs = 61_000;

// Each crash point of lifecycle §3 and §4, with a real process and SIGKILL, against Zoom at its most cruel.
const database = useDatabase();
const zoom = useSimulatedZoom('cruel');

type Killed = {
  readonly grantId: string;
  readonly accountId: string;
  readonly userId: string;
  readonly grants: Grants;
};

/** A process refreshes (or revokes) and dies where the order says, or when `until` is reached. */
async function killAt(
  dieAt: CrashPoint | null,
  {
    before,
    until,
    work = 'token',
  }: { before?(where: Killed): unknown; until?(): Promise<unknown>; work?: RefresherOrder['work'] } = {},
): Promise<Killed> {
  const filed = await zoom.fileByConsent(database.db);
  const killed = { ...filed, grants: zoom.grants(database.db) };
  await before?.(killed);
  const child = await startRefresher({
    databaseUrl: database.url,
    zoomUrl: zoom.simulator.url,
    grantId: filed.grantId,
    dieAt,
    work,
  });
  child.begin().catch(() => {});
  if (until) {
    await until();
    child.kill();
  }
  expect(await child.ended).toBe('SIGKILL');
  return killed;
}

/** While the dead one's time is not up, nobody sends; not even if asked again and again. */
async function expectNobodyElseSends({ grantId, grants, ...where }: Killed, sent: number): Promise<void> {
  // 45 of 60 seconds: the rest is for a machine that is slow.
  for (const later of [0, 30_000, 15_000]) {
    await zoom.advance(database.db, later);
    expect(await grants.accessToken(grantId, { patienceMs: 50 })).toMatchObject({ kind: 'temporarily_unavailable' });
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'not_due' });
  }
  expect(zoom.refreshes(where)).toBe(sent);
  await zoom.advance(database.db, overMs - 45_000);
}

/** What lifecycle §3 says of a lost answer: noticed, looked at twice, named ours. */
async function expectRefreshLost({ grantId, grants }: Killed): Promise<void> {
  expect(await listDueGrants(database.db, 100)).toContainEqual({ id: grantId, work: 'second_look' });
  expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'suspect' });
  expect(await grantRow(database.db, grantId)).toMatchObject({ suspect_reason: 'refresh_lost', dead_reason: null });
  await zoom.advance(database.db, 9 * minute);
  expect(await grants.secondLook(grantId)).toEqual({ kind: 'not_due' });
  await zoom.advance(database.db, 2 * minute);
  expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'dead' });
  expect(await grants.accessToken(grantId)).toEqual({ kind: 'dead', reason: 'refresh_lost' });
}

const release = (grantId: string) =>
  database.db
    .transaction()
    .execute((trx) => releaseGrant(trx, { grantId, organizationId: null, actor: 'schedule', reason: 'test' }));

describe('a refresher that is killed', () => {
  test.each<[CrashPoint]>([['acquired'], ['before_send']])(
    'at %s, before sending: the next one proceeds after the deadline',
    async (point) => {
      const killed = await killAt(point);
      await expectNobodyElseSends(killed, 0);
      expect(await killed.grants.accessToken(killed.grantId)).toMatchObject({ kind: 'token', version: 2 });
      expect(await outcomes(database.db, killed.grantId)).toEqual(['unknown', 'rotated']);
      expect(zoom.refreshes(killed)).toBe(1);
    },
  );

  test('after sending, before Zoom acted: the next one recovers after the deadline', async () => {
    const { control } = zoom.simulator;
    control.clearLedger();
    const killed = await killAt(null, {
      before: () => control.addFault({ endpoint: 'oauth.refresh', kind: 'blackhole', when: 'before' }),
      until: () => control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 }),
    });
    await expectNobodyElseSends(killed, 1);
    expect(await killed.grants.accessToken(killed.grantId)).toMatchObject({ kind: 'token', version: 2 });
    const attempts = await database.db
      .selectFrom('steward.refresh_attempts')
      .select('recovery')
      .where('grant_id', '=', killed.grantId)
      .orderBy('started_at')
      .execute();
    expect(attempts).toEqual([{ recovery: false }, { recovery: true }]);
    expect(zoom.simulator.judge().findings).toEqual([]);
  });

  test('after Zoom acted, before its answer: refresh_lost after the second look, never revoked', async () => {
    const { control } = zoom.simulator;
    control.clearLedger();
    const killed = await killAt(null, {
      before: () => control.addFault({ endpoint: 'oauth.refresh', kind: 'blackhole', when: 'after' }),
      until: () => control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 }),
    });
    await expectNobodyElseSends(killed, 1);
    await expectRefreshLost(killed);
    expect(zoom.simulator.judge().findings).toEqual([]);
  });

  test('at answered, before the commit: refresh_lost after the second look, never revoked', async () => {
    const killed = await killAt('answered');
    await expectNobodyElseSends(killed, 1);
    await expectRefreshLost(killed);
  });

  test('at committed, before anybody was answered: the new pair is there for the next one, without a request', async () => {
    const killed = await killAt('committed');
    expect(await killed.grants.accessToken(killed.grantId)).toMatchObject({ kind: 'token', version: 2 });
    expect(zoom.refreshes(killed)).toBe(1);
    expect(await outcomes(database.db, killed.grantId)).toEqual(['rotated']);
  });

  test('at recorded, after a 5xx: repeated after its back-off', async () => {
    const killed = await killAt('recorded', {
      before: () => zoom.simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'server_error', status: 503 }),
    });
    expect(await outcomes(database.db, killed.grantId)).toEqual(['unknown']);
    await zoom.advance(database.db, 3_000);
    expect(await killed.grants.accessToken(killed.grantId)).toMatchObject({ kind: 'token', version: 2 });
  });

  test('at recorded, after a refusal: the suspicion is on disk, the second look decides and names it revoked', async () => {
    const killed = await killAt('recorded', {
      before: ({ accountId }) => zoom.simulator.control.revokeGrants({ clientId: simulatedClient.clientId, accountId }),
    });
    expect(await grantRow(database.db, killed.grantId)).toMatchObject({ state: 'suspect', lease_token: null });
    await zoom.advance(database.db, 11 * minute);
    expect(await killed.grants.secondLook(killed.grantId)).toEqual({ kind: 'looked', state: 'dead' });
    expect(await killed.grants.accessToken(killed.grantId)).toEqual({ kind: 'dead', reason: 'revoked' });
  });

  test('at answered, with a refusal in its hands: it is ours to doubt, so refresh_lost and not the customer', async () => {
    const killed = await killAt('answered', {
      before: ({ accountId }) => zoom.simulator.control.revokeGrants({ clientId: simulatedClient.clientId, accountId }),
    });
    await expectNobodyElseSends(killed, 1);
    await expectRefreshLost(killed);
  });
});

describe('a releaser that is killed', () => {
  test('at revoke_leased, before sending: the next one revokes when the lease is over', async () => {
    const killed = await killAt('revoke_leased', { before: ({ grantId }) => release(grantId), work: 'retire' });
    expect(await killed.grants.retire(killed.grantId)).toEqual({ kind: 'later', why: 'busy' });
    await zoom.advance(database.db, overMs);
    expect(await killed.grants.retire(killed.grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
    const left = zoom.simulator.control.grants().filter((one) => one.grant.includes(killed.accountId));
    expect(left.map((one) => one.ended)).not.toContain(null);
  });

  test('at revoke_answered, before the secrets are deleted: already dead counts as success, secrets go', async () => {
    const killed = await killAt('revoke_answered', { before: ({ grantId }) => release(grantId), work: 'retire' });
    await zoom.advance(database.db, overMs);
    expect(await killed.grants.retire(killed.grantId)).toEqual({ kind: 'later', why: 'suspect' });
    await zoom.advance(database.db, 11 * minute);
    expect(await killed.grants.retire(killed.grantId)).toEqual({ kind: 'done', outcome: 'already_dead' });
    expect(await grantRow(database.db, killed.grantId)).toMatchObject({
      state: 'gone',
      sealed_access: null,
      sealed_refresh: null,
    });
  });
});

describe('an answer that never comes whole', () => {
  test.each(['reset', 'truncate', 'blackhole'] as const)(
    '%s after Zoom acted: unknown, nothing before the deadline, then refresh_lost',
    async (kind) => {
      const { grantId, ...where } = await zoom.fileByConsent(database.db);
      zoom.simulator.control.clearLedger();
      zoom.simulator.control.addFault({ endpoint: 'oauth.refresh', kind, when: 'after' });
      const grants = zoom.grants(database.db, { oauth: zoom.oauth(kind === 'blackhole' ? 1_000 : 20_000) });
      expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'outcome_unknown' });
      const lost = { grantId, grants, ...where };
      await expectNobodyElseSends(lost, 1);
      await expectRefreshLost(lost);
      expect(zoom.simulator.judge().findings).toEqual([]);
    },
  );

  test.each(['reset', 'blackhole'] as const)(
    '%s before Zoom acted: unknown, then recovered after the deadline',
    async (kind) => {
      const { grantId, ...where } = await zoom.fileByConsent(database.db);
      zoom.simulator.control.clearLedger();
      zoom.simulator.control.addFault({ endpoint: 'oauth.refresh', kind, when: 'before' });
      const grants = zoom.grants(database.db, { oauth: zoom.oauth(kind === 'blackhole' ? 1_000 : 20_000) });
      expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'outcome_unknown' });
      await expectNobodyElseSends({ grantId, grants, ...where }, 1);
      expect(await grants.accessToken(grantId)).toMatchObject({ kind: 'token', version: 2 });
      expect(await outcomes(database.db, grantId)).toEqual(['unknown', 'rotated']);
      expect(zoom.simulator.judge().findings).toEqual([]);
    },
  );

  test('nobody listens: not sent, and nothing is suspected', async () => {
    const { grantId } = await zoom.fileByConsent(database.db);
    const grants = zoom.grants(database.db, {
      times: { backOffMs: 3600_000, longestBackOffMs: 3600_000 },
      oauth: zoom.oauth(20_000, 'http://127.0.0.1:9'),
    });
    expect(await grants.accessToken(grantId)).toMatchObject({ kind: 'temporarily_unavailable' });
    await grants.settle();
    expect(new Set(await outcomes(database.db, grantId))).toEqual(new Set(['not_sent']));
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living', version: 1 });
  });
});
