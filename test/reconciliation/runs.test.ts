import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { applyTransition } from '../../src/connections/apply-transition.ts';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import { approveRun } from '../../src/reconciliation/hold-run.ts';
import { previewDisconnect } from '../../src/reconciliation/preview-disconnect.ts';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { resolveMember } from '../../src/reconciliation/resolve-member.ts';
import { getRun } from '../../src/reconciliation/run-record.ts';
import { useDatabase } from '../support/database.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import {
  changeConnection,
  eventsSince,
  lastEvent,
  oneChunk,
  playRun,
  reconcileAll,
  rowVersions,
  startRun,
  storedResults,
} from './support/play-runs.ts';

const database = useDatabase();
const fresh = (members = 20) => fillOrganization(database.db, members);

const freshState = { 'organization/can_host': 16, 'organization/no_zoom_user': 2, 'personal/can_host': 2 };

/** Plays a run chunk by chunk; where it stood after each. */
async function phasesOf(run: string, chunkSize: number): Promise<string[]> {
  const phases: string[] = [];
  for (let state = 'more'; state === 'more'; ) {
    ({ state } = await oneChunk(database.db, run, { chunkSize }));
    const { phase, cursor, progress } = await getRun(database.db, run);
    phases.push(`${phase} ${cursor === null ? 'start' : 'inside'}`);
    if (phase === 'facts') expect(progress.facts).toMatchObject({ done: chunkSize * phases.length, total: 20 });
  }
  return phases;
}

test('the first run of an organization has nothing to weigh: facts and results in one pass, in chunks with cursor and counts', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  expect(await phasesOf(run, 8)).toEqual([
    'facts inside',
    'facts inside',
    'locations start',
    'additions start',
    'bookings start',
    'finish start',
    'done start',
  ]);
  const after = await getRun(database.db, run);
  expect(after).toMatchObject({
    state: 'done',
    counts: { 'facts.written': 20, 'members.written': 20, 'members.gained': 20, 'members.canHostGained': 18 },
  });
  expect(after.progress).toMatchObject({ facts: { done: 20, total: 20, alsoResults: true } });
  expect(after.progress.members).toBeUndefined();
  expect(await storedResults(database.db, org.organizationId)).toEqual(freshState);
});

const afterFacts = [
  'members start',
  'members inside',
  'locations start',
  'additions start',
  'bookings start',
  'finish start',
  'done start',
];

/** Nobody's stored facts are right any more. */
const unverify = (organizationId: string) =>
  sql`update steward_app.members set email_verified = false where organization_id = ${organizationId}`.execute(
    database.db,
  );

test.each(['interrupted', 'disconnecting'])(
  'a later run (%s) looks at those whose stored facts may be wrong, and writes results by what is stored',
  async (state) => {
    const org = await fresh();
    await reconcileAll(database.db, org);
    await sql`update steward_app.members set active = false where id = ${await memberOf(database.db, org, 1)}`.execute(
      database.db,
    );
    const before = await rowVersions(database.db, org.organizationId);
    const run = await changeConnection(database.db, org, { state });
    expect([...new Set(await phasesOf(run, 8))]).toEqual(afterFacts);
    const after = await getRun(database.db, run);
    expect(after).toMatchObject({
      state: 'done',
      counts: { 'facts.written': 1, 'members.written': 18, 'members.canHostLost': 16 },
      progress: { facts: { done: 1, total: 1, doubtfulOnly: true }, members: { done: 20, total: 20 } },
    });
    const facts = (rows: unknown[]) => rows.filter((row) => (row as { what: string }).what === 'facts');
    const written = facts(await rowVersions(database.db, org.organizationId)).filter(
      (row, index) => JSON.stringify(row) !== JSON.stringify(facts(before)[index]),
    );
    expect(written).toHaveLength(1);
  },
);

test('with too many whose stored facts may be wrong everybody is looked at: facts first, and results once they are weighed', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  await unverify(org.organizationId);
  const run = await changeConnection(database.db, org, { state: 'interrupted' });
  expect([...new Set(await phasesOf(run, 1))]).toEqual(['facts inside', ...afterFacts]);
  expect((await getRun(database.db, run)).progress).toEqual(
    expect.objectContaining({ facts: { done: 20, total: 20 }, members: { done: 20, total: 20 } }),
  );
});

test('what a decided disconnect and an approved run write is then written in one pass as well', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  await unverify(org.organizationId);
  const cascade = await changeConnection(database.db, org, { state: 'disconnecting' });
  expect(await phasesOf(cascade, 1)).toEqual(expect.not.arrayContaining(['members start']));
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'none/no_connection': 18,
    'personal/can_host': 2,
  });
});

test('whose stored facts may be wrong is asked again where the rollout moved between the question and the chunk', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const run = await changeConnection(database.db, org, { state: 'disconnecting' });
  let transactions = 0;
  const watched = interceptTransactions(database.db, {
    after: async () => {
      transactions += 1;
      // The first asked for the comparison, which was the second.
      if (transactions === 2)
        await sql`
          insert into steward.organization_settings (organization_id, rollout, rollout_domains)
          values (${org.organizationId}, 'domains', '{else.test}')`.execute(database.db);
    },
  });
  expect(await oneChunk(watched, run, { chunkSize: 8 })).toMatchObject({ state: 'more', counts: {} });
  expect(await playRun(database.db, run, { chunkSize: 8 })).toMatchObject({
    state: 'done',
    counts: { 'facts.written': 20 },
  });
});

test('the size of a chunk follows what chunks cost, within its bounds, and is kept from slice to slice', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  const sizes: (number | undefined)[] = [];
  for (let state = 'more'; state === 'more'; ) {
    ({ state } = await oneChunk(database.db, run, { chunkSize: 2, chunkMs: 60_000 }));
    const { phase, progress } = await getRun(database.db, run);
    if (phase === 'facts') sizes.push(progress.facts?.done);
  }
  // 2 + 3 + 5 + 8, and the rest.
  expect(sizes).toEqual([2, 5, 10, 18]);
});

test('the run straight after finds nothing and writes nothing: no row has another version', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const before = await rowVersions(database.db, org.organizationId);
  expect(before).toHaveLength(40);
  expect(await reconcileAll(database.db, org)).toMatchObject({ state: 'done', counts: {} });
  expect(await rowVersions(database.db, org.organizationId)).toEqual(before);
});

test('what changed in between is all that is written', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const before = await rowVersions(database.db, org.organizationId);
  const member = await memberOf(database.db, org, 1);
  await sql`update steward_app.members set active = false where id = ${member}`.execute(database.db);
  expect(await reconcileAll(database.db, org)).toMatchObject({
    counts: { 'facts.written': 1, 'members.written': 1, 'members.lost': 1, 'members.canHostLost': 1 },
  });
  const after = await rowVersions(database.db, org.organizationId);
  expect(after.filter((row, index) => JSON.stringify(row) !== JSON.stringify(before[index]))).toHaveLength(2);
});

test('who left or moved away loses their rows; who was deactivated keeps one that says so', async () => {
  const [org, other] = [await fresh(), await fresh()];
  await reconcileAll(database.db, org);
  const [left, moved, inactive] = [
    await memberOf(database.db, org, 1),
    await memberOf(database.db, org, 2),
    await memberOf(database.db, org, 3),
  ];
  await sql`delete from steward_app.members where id = ${left}`.execute(database.db);
  await sql`update steward_app.members set organization_id = ${other.organizationId} where id = ${moved}`.execute(
    database.db,
  );
  await sql`update steward_app.members set active = false where id = ${inactive}`.execute(database.db);
  expect(await reconcileAll(database.db, org)).toMatchObject({
    counts: { 'facts.deleted': 2, 'members.deleted': 2, 'members.lost': 3 },
  });
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    ...freshState,
    'none/no_connection': 1,
    'organization/can_host': 13,
  });
});

test('what stands is not looked at again, and only where the run before proves it', async () => {
  const org = await fresh();
  const begin = async (stands: 'facts' | 'members') => {
    const run = await database.db
      .transaction()
      .execute((trx) =>
        startOrganizationRun(trx, { connectionId: org.connectionId, cause: 'test', actor: 'app', stands }),
      );
    return { run, phase: (await getRun(database.db, run)).phase };
  };
  // Nobody went before, nobody has begun, or somebody stopped amid the facts.
  expect(await begin('facts')).toMatchObject({ phase: 'facts' });
  const { run: half, phase } = await begin('facts');
  expect(phase).toBe('facts');
  await oneChunk(database.db, half, { chunkSize: 8 });
  expect(await begin('facts')).toMatchObject({ phase: 'facts' });
  await reconcileAll(database.db, org);

  const { run: interrupted, phase: first } = await begin('facts');
  expect(first).toBe('members');
  // It has written nothing yet, so that the next one believes nobody.
  expect(await begin('facts')).toMatchObject({ phase: 'facts' });
  expect(await getRun(database.db, interrupted)).toMatchObject({ state: 'superseded', phase: 'members' });
  await reconcileAll(database.db, org);
  // Results stand once a run has ended under this generation.
  expect(await begin('members')).toMatchObject({ phase: 'locations' });
  await reconcileAll(database.db, org);
  await changeConnection(database.db, org, { state: 'interrupted' });
  expect(await begin('members')).toMatchObject({ phase: 'facts' });

  // Under observe a run ends without having written, also one that stands, or that a pause had kept from beginning.
  await reconcileAll(database.db, org);
  const { run: seen, phase: standing } = await begin('facts');
  expect(standing).toBe('members');
  await withSwitch('pause_writes', async () => void (await playRun(database.db, seen)));
  await withSwitch('observe_only', async () =>
    expect(await playRun(database.db, seen)).toMatchObject({ state: 'done', counts: {} }),
  );
  expect(await begin('facts')).toMatchObject({ phase: 'facts' });
});

test.each([5_000, 8])(
  'a disconnect in chunks of %s comes to what its preview said, also of what nobody announced',
  async (chunkSize) => {
    const org = await fresh();
    await reconcileAll(database.db, org);
    await sql`
    insert into steward_app.personal_connections (member_id, organization_id, state)
    select id, organization_id, 'connected' from steward_app.members
     where organization_id = ${org.organizationId} and split_part(email, '@', 1)::integer between 3 and 5`.execute(
      database.db,
    );
    const preview = await previewDisconnect(database.db, { organizationId: org.organizationId, adapter: 'rows' });
    expect(preview).toMatchObject({ membersLosingHosting: 13, membersKeepingPersonal: 5 });
    const disconnect = await database.db
      .transaction()
      .execute((trx) =>
        applyTransition(trx, { connectionId: org.connectionId, event: 'disconnect', actor: 'operator:test' }),
      );
    const run = disconnect.outcome === 'changed' ? disconnect.runId : null;
    expect(await playRun(database.db, run ?? '', { chunkSize })).toMatchObject({
      state: 'done',
      counts: { 'members.canHostLost': 13 },
    });
    expect(await storedResults(database.db, org.organizationId)).toEqual({
      'none/no_connection': 15,
      'personal/can_host': 5,
    });
  },
);

test('what a held run found is not stood on: people who came back keep Zoom without a word', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const hide = (hidden: boolean) =>
    sql`update steward_app.members set active = ${!hidden} where organization_id = ${org.organizationId}`.execute(
      database.db,
    );
  await hide(true);
  expect(await reconcileAll(database.db, org)).toMatchObject({ state: 'held' });
  await hide(false);
  const run = await changeConnection(database.db, org, { state: 'interrupted' }, 'facts');
  expect(await playRun(database.db, run)).toMatchObject({ state: 'done' });
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'organization/interrupted': 18,
    'personal/can_host': 2,
  });
});

test('a run whose facts stand writes what its members have by the facts as they are stored', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  // What was announced since then is looked at alone.
  const leaver = await memberOf(database.db, org, 1);
  await deactivate(org, 1);
  await reconcileMember(database.db, leaver, { cause: 'member_changed', actor: 'app' });
  const run = await changeConnection(database.db, org, { state: 'interrupted' }, 'facts');
  expect(await playRun(database.db, run, { chunkSize: 8 })).toMatchObject({ state: 'done' });
  expect((await getRun(database.db, run)).progress).toMatchObject({ members: { done: 20 } });
  expect((await getRun(database.db, run)).progress.facts).toBeUndefined();
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'none/no_connection': 1,
    'organization/interrupted': 17,
    'personal/can_host': 2,
  });
  const before = await rowVersions(database.db, org.organizationId);
  expect(await reconcileAll(database.db, org)).toMatchObject({ state: 'done', counts: {} });
  expect(await rowVersions(database.db, org.organizationId)).toEqual(before);
});

test.each([
  ['the first run', 2, 'facts'],
  ['a later run', 2, 'members'],
])(
  'members who come behind the cursor of %s are served at once, stored by their own look, and found by the next run',
  async (which, begun, phase) => {
    const org = await fresh();
    if (which === 'a later run') await reconcileAll(database.db, org);
    const run = await startRun(database.db, org);
    for (let chunks = 0; chunks < begun; chunks++) await oneChunk(database.db, run, { chunkSize: 8 });
    expect((await getRun(database.db, run)).phase).toBe(phase);
    const [said, unsaid] = ['00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-0000000000a2'];
    await sql`
    insert into steward_app.members (id, organization_id, name, email, email_verified, role)
    select id, ${org.organizationId}, 'Behind', id || '@x.test', true, 'user' from unnest(${[said, unsaid]}::uuid[]) id`.execute(
      database.db,
    );
    expect(await resolveMember(database.db, unsaid)).toMatchObject({ effective: 'organization' });
    await reconcileMember(database.db, said, { cause: 'member_changed', actor: 'app' });
    await playRun(database.db, run);
    const stored = () =>
      database.db
        .selectFrom('steward.member_connections')
        .select('member_id')
        .where('organization_id', '=', org.organizationId)
        .where('member_id', 'in', [said, unsaid])
        .orderBy('member_id')
        .execute();
    expect(await stored()).toEqual([{ member_id: said }]);
    await reconcileAll(database.db, org);
    expect(await stored()).toEqual([{ member_id: said }, { member_id: unsaid }]);
    await sql`delete from steward_app.members where id = any(${[said, unsaid]}::uuid[])`.execute(database.db);
  },
);

test('a disconnect takes the organization’s connection from everybody and leaves personal ones; a reconnect brings it back', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const cascade = await changeConnection(database.db, org, { state: 'disconnecting' });
  expect(await playRun(database.db, cascade)).toMatchObject({
    state: 'done',
    counts: { 'members.lost': 18, 'members.canHostLost': 16 },
  });
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'none/no_connection': 18,
    'personal/can_host': 2,
  });
  await playRun(database.db, await changeConnection(database.db, org, { state: 'active' }));
  expect(await storedResults(database.db, org.organizationId)).toEqual(freshState);
});

test('an interruption changes hosting and serves on', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  await playRun(database.db, await changeConnection(database.db, org, { state: 'interrupted' }));
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'organization/interrupted': 18,
    'personal/can_host': 2,
  });
});

test('what it did is told once, summed, with an audit entry; a run of one member tells about that member', async () => {
  const org = await fresh();
  const from = await lastEvent(database.db);
  const { counts } = await reconcileAll(database.db, org);
  const events = await eventsSince(database.db, org.organizationId, from);
  expect(events.map(({ type }) => type)).toEqual(['members.connection_changed', 'run.finished']);
  expect(events[0]?.data).toMatchObject({ written: 20, gained: 20 });
  const audit = await database.db
    .selectFrom('steward.audit_log')
    .select(['action', 'data'])
    .where('organization_id', '=', org.organizationId)
    .execute();
  expect(audit).toEqual([{ action: 'run.finished', data: { counts } }]);

  const member = await memberOf(database.db, org, 1);
  await sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${member}, ${org.organizationId}, 'connected')`.execute(
    database.db,
  );
  const then = await lastEvent(database.db);
  expect(await reconcileMember(database.db, member, { cause: 'member_changed', actor: 'app' })).toMatchObject({
    counts: { 'members.toPersonal': 1 },
  });
  expect(await eventsSince(database.db, org.organizationId, then)).toEqual([
    {
      type: 'member.connection_changed',
      data: expect.objectContaining({
        before: { effective: 'organization', reason: 'organization', hosting: 'can_host' },
        after: { effective: 'personal', reason: 'personal', hosting: 'can_host' },
      }),
    },
  ]);
});

test('a scheduled run that finds nothing is silent', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const from = await lastEvent(database.db);
  const run = await startRun(database.db, org);
  await sql`update steward.runs set actor = 'schedule' where id = ${run}`.execute(database.db);
  await playRun(database.db, run);
  expect(await eventsSince(database.db, org.organizationId, from)).toEqual([]);
});

test.each(['pause_writes', 'pause_all'] as const)(
  '%s stops it between chunks, and single looks; it goes on where it was',
  async (name) => {
    const org = await fresh();
    const run = await startRun(database.db, org);
    await oneChunk(database.db, run, { chunkSize: 8 });
    const before = await rowVersions(database.db, org.organizationId);
    await withSwitch(name, async () => {
      expect(await playRun(database.db, run)).toMatchObject({ state: 'paused' });
      const member = await memberOf(database.db, org, 1);
      expect(await reconcileMember(database.db, member, { cause: 'x', actor: 'app' })).toMatchObject({
        state: 'paused',
      });
      expect(await rowVersions(database.db, org.organizationId)).toEqual(before);
    });
    expect(await playRun(database.db, run)).toMatchObject({ state: 'done', counts: { 'facts.written': 20 } });
  },
);

test('under observe a run plans and writes nothing; members are served all the same', async () => {
  const org = await fresh();
  await sql`update steward.org_connections set observe = true where id = ${org.connectionId}`.execute(database.db);
  const run = await startRun(database.db, org);
  expect(await playRun(database.db, run)).toMatchObject({ state: 'done', counts: {} });
  expect(await rowVersions(database.db, org.organizationId)).toEqual([]);
  const { plan } = await database.db
    .selectFrom('steward.runs')
    .select('plan')
    .where('id', '=', run)
    .executeTakeFirstOrThrow();
  expect(plan).toMatchObject({ members: { summary: { members: 20, changes: 20, canHost: 18 } } });
  const member = await memberOf(database.db, org, 1);
  expect(await reconcileMember(database.db, member, { cause: 'x', actor: 'app' })).toMatchObject({ state: 'observed' });
  expect(await resolveMember(database.db, member)).toMatchObject({ hosting: 'can_host' });
});

test('under observe a cascade waits, and so does a run that has begun to write', async () => {
  const org = await fresh();
  const begun = await startRun(database.db, org);
  await oneChunk(database.db, begun, { chunkSize: 8 });
  await sql`update steward.org_connections set observe = true where id = ${org.connectionId}`.execute(database.db);
  expect(await playRun(database.db, begun)).toMatchObject({ state: 'paused' });
  expect(
    await playRun(database.db, await changeConnection(database.db, org, { state: 'disconnecting' })),
  ).toMatchObject({ state: 'paused' });
});

async function deactivate(org: FilledOrganization, upTo: number): Promise<void> {
  await sql`update steward_app.members set active = false where organization_id = ${org.organizationId}
               and split_part(email, '@', 1)::integer <= ${upTo}`.execute(database.db);
}

test('a run that would take Zoom from too many is held, tells, and goes on when a person lets it pass', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  await deactivate(org, 5);
  const run = await startRun(database.db, org);
  const from = await lastEvent(database.db);
  expect(await playRun(database.db, run)).toMatchObject({ state: 'held' });
  expect(await storedResults(database.db, org.organizationId)).toEqual(freshState);
  expect(await eventsSince(database.db, org.organizationId, from)).toMatchObject([
    { type: 'run.held', data: { served: 20, lost: 5 } },
  ]);
  expect(await playRun(database.db, run)).toMatchObject({ state: 'held' });

  // Planned anew: what changed while it waited is seen.
  await deactivate(org, 6);
  await approveRun(database.db, run, { actor: 'operator:ada', reason: 'they moved out' });
  expect(await playRun(database.db, run)).toMatchObject({ state: 'done', counts: { 'members.lost': 6 } });
  await expect(approveRun(database.db, run, { actor: 'operator:ada', reason: 'again' })).rejects.toMatchObject({
    code: 'run_not_held',
  });
});

test('the guard counts people who vanish, lets few pass, and never holds a disconnect', async () => {
  const vanished = await fresh();
  await reconcileAll(database.db, vanished);
  await sql`delete from steward_app.members where organization_id = ${vanished.organizationId} and split_part(email, '@', 1)::integer <= 5`.execute(
    database.db,
  );
  expect(await reconcileAll(database.db, vanished)).toMatchObject({ state: 'held' });

  const few = await fresh();
  await reconcileAll(database.db, few);
  await deactivate(few, 4);
  expect(await reconcileAll(database.db, few)).toMatchObject({ state: 'done' });

  const gone = await fresh();
  await reconcileAll(database.db, gone);
  expect(
    await playRun(database.db, await changeConnection(database.db, gone, { state: 'disconnecting' })),
  ).toMatchObject({ state: 'done' });
  // What a cascade did not get to is still that disconnect, not a surprise.
  await playRun(database.db, await changeConnection(database.db, gone, { state: 'active' }));
  await changeConnection(database.db, gone, { state: 'disconnecting' });
  expect(await playRun(database.db, await changeConnection(database.db, gone, { state: 'none' }))).toMatchObject({
    state: 'done',
  });
});

test('a run that is done, or does not exist, says so', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  await playRun(database.db, run);
  expect(await playRun(database.db, run)).toMatchObject({ state: 'done' });
  await expect(playRun(database.db, randomUUID())).rejects.toMatchObject({ code: 'run_unknown' });
});

async function withSwitch(name: string, work: () => Promise<void>): Promise<void> {
  await sql`insert into steward.switches (name, reason, actor, since) values (${name}, 'test', 'operator:test', steward.now())`.execute(
    database.db,
  );
  try {
    await work();
  } finally {
    await sql`delete from steward.switches where name = ${name}`.execute(database.db);
  }
}
