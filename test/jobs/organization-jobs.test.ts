import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, describe, expect, test } from 'vitest';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import { disconnectOrganization } from '../../src/jobs/disconnect-organization.ts';
import { reconcileMember } from '../../src/jobs/reconcile-member.ts';
import { reconcileOrganization } from '../../src/jobs/reconcile-organization.ts';
import { syncZoomDirectory } from '../../src/jobs/sync-zoom-directory.ts';
import { verifyAdminRole } from '../../src/jobs/verify-admin-role.ts';
import { useDatabase } from '../support/database.ts';
import { expectEnqueued, performJob } from './perform-job.ts';

const database = useDatabase();
const id = randomUUID();

let organizationId: string;
beforeEach(async () => {
  organizationId = randomUUID();
  await sql`truncate steward.outbox`.execute(database.db);
  await sql`insert into steward_app.organizations (id, name) values (${organizationId}, 'Acme')`.execute(database.db);
});

const runs = () =>
  database.db
    .selectFrom('steward.runs')
    .select(['id', 'state', 'phase', 'cause'])
    .where('organization_id', '=', organizationId)
    .orderBy('created_at')
    .execute();
const look = () => performJob(database.db, reconcileOrganization, { organizationId });

describe('"look at this organization"', () => {
  test('starts a run; twice, and twice at once, is one', async () => {
    const [first, second] = await Promise.all([look(), look()]);
    expect([first, second].map((outcome) => outcome.kind)).toEqual(['done', 'done']);
    await look();
    expect(await runs()).toMatchObject([{ state: 'queued', cause: 'organization_changed' }]);
    const runId = (await runs())[0]?.id;
    expect(await expectEnqueued(database.db)).toEqual([
      { job: 'reconcile-organization', key: runId, payload: { organizationId, runId } },
    ]);
  });

  test('while a run is at work, waits for its end, because that may have passed the place', async () => {
    await look();
    await sql`update steward.runs set state = 'running', started_at = steward.now() where organization_id = ${organizationId}`.execute(
      database.db,
    );
    expect(await look()).toMatchObject({ kind: 'snooze' });
    await sql`update steward.runs set state = 'done', ended_at = steward.now() where organization_id = ${organizationId}`.execute(
      database.db,
    );
    expect(await look()).toMatchObject({ kind: 'done', summary: { state: 'started' } });
    expect(await runs()).toHaveLength(2);
  });

  test('makes a run look at everybody that was to stand on stored facts and has not begun', async () => {
    await look();
    await sql`update steward.runs set phase = 'members' where organization_id = ${organizationId}`.execute(database.db);
    expect(await look()).toMatchObject({ kind: 'done', summary: { state: 'queued already' } });
    expect(await runs()).toMatchObject([{ state: 'queued', phase: 'facts' }]);
  });

  test('of nobody is cancelled; of a deleted one ends its connection', async () => {
    expect(await performJob(database.db, reconcileOrganization, { organizationId: id })).toMatchObject({
      kind: 'cancel',
    });
    await look();
    await sql`update steward.org_connections set state = 'active' where organization_id = ${organizationId}`.execute(
      database.db,
    );
    await sql`update steward_app.organizations set deleted_at = now() where id = ${organizationId}`.execute(
      database.db,
    );
    await Promise.all([look(), look()]);
    const connection = await database.db
      .selectFrom('steward.org_connections')
      .select(['state', 'generation'])
      .where('organization_id', '=', organizationId)
      .executeTakeFirst();
    expect(connection).toEqual({ state: 'disconnecting', generation: 2 });
  });

  test('and a hand-over of a run have keys of their own', () => {
    expect(reconcileOrganization.unique({ organizationId })).toBe(organizationId);
    expect(reconcileOrganization.unique({ organizationId, runId: id })).toBe(id);
  });
});

describe('a slice', () => {
  const slice = (
    state: 'more' | 'done' | 'superseded' | 'held' | 'paused' | 'busy',
    job = reconcileOrganization as typeof disconnectOrganization,
    slowed: string | null = null,
  ) => {
    const finished: string[] = [];
    return performJob(
      database.db,
      job,
      { organizationId, runId: id },
      {
        advanceRun: async () => ({ state, counts: { members: 3 }, slowed }),
        finishDisconnect: async (organization) => {
          finished.push(organization);
          return 'finished';
        },
      },
    ).then((outcome) => ({ outcome, finished }));
  };

  test.each([reconcileOrganization, disconnectOrganization])(
    'that is not the last is handed over: $name',
    async (job) => {
      const { outcome } = await slice('more', job as never);
      expect(outcome).toMatchObject({ kind: 'done', summary: { members: 3, state: 'more' } });
      expect(await expectEnqueued(database.db)).toEqual([
        { job: job.name, key: id, payload: { organizationId, runId: id } },
      ]);
    },
  );

  test('that gave way to others is handed over later', async () => {
    const delay = async (): Promise<number> => {
      const { rows } = await sql<{ ms: number }>`
        select extract(epoch from available_at - created_at)::float8 * 1000 as ms from steward.outbox where key = ${id} order by id desc limit 1`.execute(
        database.db,
      );
      return rows[0]?.ms ?? Number.NaN;
    };
    await slice('more');
    expect(await delay()).toBe(0);
    await slice('more', reconcileOrganization as never, 'a replica is behind');
    expect(await delay()).toBe(2_000);
    await sql`truncate steward.outbox`.execute(database.db);
  });

  test.each(['done', 'superseded', 'held'] as const)('that is %s hands nothing over', async (state) => {
    expect((await slice(state)).outcome.kind).toBe('done');
    expect(await expectEnqueued(database.db)).toEqual([]);
  });

  test.each(['paused', 'busy'] as const)('that is %s comes back', async (state) => {
    expect((await slice(state)).outcome.kind).toBe('snooze');
  });

  test('only the end of a cascade finishes the disconnect', async () => {
    expect((await slice('more', disconnectOrganization)).finished).toEqual([]);
    expect((await slice('superseded', disconnectOrganization)).finished).toEqual([]);
    expect((await slice('done', disconnectOrganization)).finished).toEqual([organizationId]);
    expect((await slice('done')).finished).toEqual([]);
  });

  test('the outbox of a run that somebody starts has what the job expects', async () => {
    await look();
    const connection = await database.db
      .selectFrom('steward.org_connections')
      .select('id')
      .where('organization_id', '=', organizationId)
      .executeTakeFirstOrThrow();
    await sql`truncate steward.outbox`.execute(database.db);
    await sql`update steward.org_connections set state = 'disconnecting' where id = ${connection.id}`.execute(
      database.db,
    );
    await database.db
      .transaction()
      .execute((trx) => startOrganizationRun(trx, { connectionId: connection.id, cause: 'disconnect', actor: 'app' }));
    const [said] = (await expectEnqueued(database.db)) as [{ job: string; key: string; payload: never }];
    expect(said.job).toBe('disconnect-organization');
    expect(disconnectOrganization.payload.parse(said.payload)).toEqual(said.payload);
    expect(disconnectOrganization.unique(said.payload)).toBe(said.key);
  });
});

describe('looks', () => {
  const gone = async () => ({ kind: 'gone', reason: 'not there' }) as const;
  const again = async () => ({ kind: 'again', afterMs: 7_000, reason: 'Zoom does not answer' }) as const;

  test.each([
    ['a connection', verifyAdminRole, { connectionId: id }, 'verifyConnection'],
    ['a candidate', verifyAdminRole, { candidateId: id }, 'advanceCandidate'],
    ['a grant', verifyAdminRole, { grantId: id }, 'lookAtGrant'],
    ['a directory', syncZoomDirectory, { zoomAccountId: 'acc' }, 'syncDirectory'],
    ['one member in a directory', syncZoomDirectory, { zoomAccountId: 'acc', memberId: id }, 'lookUpMember'],
  ] as const)('%s', async (_what, job, payload, service) => {
    const perform = (look: () => Promise<unknown>) =>
      performJob(database.db, job as never, payload, { [service]: look });
    expect(await perform(async () => ({ kind: 'done', summary: 'passed' }))).toEqual({
      kind: 'done',
      summary: { look: 'passed' },
    });
    expect(await perform(gone)).toEqual({ kind: 'cancel', reason: 'not there' });
    expect(await perform(again)).toEqual({ kind: 'snooze', ms: 7_000, reason: 'Zoom does not answer' });
    expect(await expectEnqueued(database.db)).toEqual([]);
    expect(await perform(async () => ({ kind: 'more', summary: 'a page' }))).toMatchObject({ kind: 'done' });
    expect(await expectEnqueued(database.db)).toMatchObject([{ job: job.name, payload }]);
    // twice at once: the queue may do that
    const both = await Promise.all([perform(again), perform(again)]);
    expect(both.every((outcome) => outcome.kind === 'snooze')).toBe(true);
  });
});

test('a member who is checking afterwards is looked up at Zoom, alone', async () => {
  const perform = (account: string | null, state: 'written' | 'paused') =>
    performJob(
      database.db,
      reconcileMember,
      { memberId: id },
      {
        reconcileMember: async () => ({ state, counts: {} }),
        findLookup: async () => account,
      },
    );
  expect(await perform(null, 'written')).toMatchObject({ kind: 'done' });
  expect(await perform(null, 'paused')).toMatchObject({ kind: 'snooze' });
  expect(await expectEnqueued(database.db)).toEqual([]);
  await perform('acc', 'written');
  expect(await expectEnqueued(database.db)).toEqual([
    { job: 'sync-zoom-directory', key: id, payload: { zoomAccountId: 'acc', memberId: id } },
  ]);
});
