import { expect, it } from 'vitest';
import { finishAttempt } from '../../src/connections/finish-attempt.ts';
import { identifyCandidate } from '../../src/connections/identify-candidate.ts';
import { createConnectLink } from '../../src/connections/links.ts';
import { createGate } from '../grants/scripted-zoom.ts';
import { useDatabase } from '../support/database.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import { accountWith, begin, consent } from './connecting.ts';
import { insertOrganization } from './organization.ts';
import { failure, playConnections } from './scripted-zoom.ts';

const database = useDatabase();
const away = new Error('the database is away');

async function setting() {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const admin = accountWith(play.scripted, `acc-${organization.id}`, [], `it@${organization.domain}`);
  const grantsOf = () =>
    db.selectFrom('steward.grants').selectAll().where('zoom_user_id', '=', admin.id).orderBy('version').execute();
  return { db, play, ...play, organization, admin, grantsOf };
}

it.each(['before', 'after'] as const)(
  'what a code was exchanged for is stored although the database fails %s the commit',
  async (when) => {
    const { db, deps, scripted, organization, admin, grantsOf } = await setting();
    const link = await createConnectLink(db, {
      organizationId: organization.id,
      asker: { memberId: organization.owner.id },
    });
    const begun = await begin(deps, link);
    let failures = 0;
    const troubled = interceptTransactions(db, {
      [when]: () => {
        const exchanged = scripted.zoom.calls.includes('exchange');
        if (!exchanged || failures === 2) return;
        failures += 1;
        throw away;
      },
    });
    const finished = await finishAttempt(
      { ...deps, db: troubled },
      { params: scripted.zoom.approve(admin, begun.authorizeUrl), browser: begun.browser },
    );
    expect(failures).toBe(2);
    expect(finished.kind).toBe('exchanged');
    const [grant] = await grantsOf();
    expect((await deps.grants.accessToken(grant!.id)).kind).toBe('token');
    const candidates = await db
      .selectFrom('steward.candidates')
      .select('state')
      .where('link_id', '=', finished.linkId)
      .execute();
    expect(candidates).toEqual([{ state: 'verifying' }]);
  },
);

it('whoever shuts down waits for a pair that the database has not taken yet', async () => {
  const { db, deps, scripted, organization, admin } = await setting();
  const link = await createConnectLink(db, {
    organizationId: organization.id,
    asker: { memberId: organization.owner.id },
  });
  const begun = await begin(deps, link);
  const returns = createGate();
  const tried = createGate();
  const troubled = interceptTransactions(db, {
    before: async () => {
      if (!scripted.zoom.calls.includes('exchange')) return;
      tried.open();
      await returns.opened;
    },
  });
  const finishing = finishAttempt(
    { ...deps, db: troubled },
    { params: scripted.zoom.approve(admin, begun.authorizeUrl), browser: begun.browser },
  );
  await tried.opened;
  const order: string[] = [];
  const settled = deps.grants.settle().then(() => order.push('settled'));
  // A turn of the loop in which an early end would be seen.
  await new Promise((resolve) => setImmediate(resolve));
  order.push('database is back');
  returns.open();
  await Promise.all([settled, finishing]);
  expect(order).toEqual(['database is back', 'settled']);
});

it('what the pair of an unidentified candidate was exchanged for is stored although the database fails', async () => {
  const { db, play, deps, scripted, organization, admin, grantsOf } = await setting();
  scripted.zoom.override['me'] = () => failure('server', { status: 503 });
  const { candidateId } = await consent(play, organization, admin);
  scripted.zoom.override['me'] = () => {
    delete scripted.zoom.override['me'];
    return failure('token', { status: 401, code: 124 });
  };
  let failures = 0;
  const troubled = interceptTransactions(db, {
    before: () => {
      if (!scripted.zoom.calls.includes('refresh') || failures === 2) return;
      failures += 1;
      throw away;
    },
  });
  expect(await identifyCandidate({ ...deps, db: troubled }, candidateId)).toBe('identified');
  expect(failures).toBe(2);
  const [grant] = await grantsOf();
  expect((await deps.grants.accessToken(grant!.id, { minLeftMs: 3700_000 })).kind).toBe('token');
});

it('a pair that somebody is exchanging is not filed: what comes for it is', async () => {
  const { db, play, deps, scripted, organization, admin, grantsOf } = await setting();
  scripted.zoom.override['me'] = () => failure('server', { status: 503 });
  const { candidateId } = await consent(play, organization, admin);
  const sent = createGate();
  const answers = createGate();
  scripted.zoom.override['me'] = () => {
    delete scripted.zoom.override['me'];
    return failure('token', { status: 401, code: 124 });
  };
  scripted.zoom.override['refresh'] = async () => {
    sent.open();
    await answers.opened;
    delete scripted.zoom.override['refresh'];
    return null;
  };
  const renewing = identifyCandidate(deps, candidateId);
  await sent.opened;
  expect(await identifyCandidate(deps, candidateId)).toBe('unidentified');
  answers.open();
  expect(await renewing).toBe('identified');
  const [grant] = await grantsOf();
  expect(grant).toMatchObject({ state: 'living', version: 1 });
  await db
    .updateTable('steward.grants')
    .set({ access_expires_at: new Date(0) })
    .where('id', '=', grant!.id)
    .execute();
  expect((await deps.grants.accessToken(grant!.id)).kind).toBe('token');
});
