import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import { createDriftReader, readFleetFacts } from '../../src/operating/fleet-facts.ts';
import { createMetrics, type Metrics } from '../../src/operating/metrics.ts';
import { observeRuns } from '../../src/operating/observe-runs.ts';
import { advanceRun } from '../../src/reconciliation/advance-run.ts';
import { createTelemetry, type Telemetry } from '../../src/telemetry.ts';
import { services } from '../jobs/perform-job.ts';
import { fillOrganization } from '../reconciliation/support/fill-organization.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();
let telemetry: Telemetry;
let metrics: Metrics;
beforeEach(() => {
  telemetry = createTelemetry();
  metrics = createMetrics(telemetry);
});
afterEach(() => metrics.stop());

const fleet = () => readFleetFacts(database.db, ['k1']);
const drift = () => createDriftReader(database.db)();
const page = async (over: Partial<Parameters<Metrics['page']>[0]> = {}): Promise<string[]> =>
  (await metrics.page({ fleet, drift, queues: async () => [], ...over })).text.split('\n');

test('publishes exactly these names', () => {
  expect(metrics.names().map((name) => name.replace(/^zoom_steward_/, ''))).toEqual([
    'jobs_started_total',
    'jobs_finished_total',
    'job_duration_seconds',
    'job_wait_seconds',
    'job_stalled_total',
    'queue_depth',
    'queue_oldest_age_seconds',
    'outbox_unsent',
    'outbox_oldest_age_seconds',
    'events_untaken',
    'events_oldest_age_seconds',
    'events_offered_total',
    'run_members_total',
    'run_duration_seconds',
    'drift_members',
    'zoom_requests_total',
    'zoom_request_duration_seconds',
    'zoom_limited_seconds_total',
    'token_refresh_total',
    'connections',
    'verify_age_seconds',
    // What an alert needs beyond.
    'switches',
    'applications_refused',
    'grants_unreadable',
    'runs_stuck',
    'webhooks_total',
    'meetings_total',
    'meeting_duration_seconds',
  ]);
});

test('counts what happens, in seconds, by names of ours and never by job, grant or member', async () => {
  const job = { queue: 'quick', job: 'reconcile-member', jobId: '77001', key: 'member-77' };
  telemetry.emit('job_started', { ...job, attempt: 1, waitedMs: 1_500 });
  telemetry.emit('job_started', { ...job, attempt: 2, waitedMs: 90_000 });
  telemetry.emit('job_finished', { ...job, outcome: 'retried', ms: 250, detail: 'ECONNRESET' });
  telemetry.emit('job_stalled', { queue: 'bulk', jobId: '77001' });
  telemetry.emit('zoom_request', {
    endpoint: 'users.list',
    outcome: 'rate_limited',
    status: 429,
    ms: 80,
    retryAfterMs: 12_000,
  });
  telemetry.emit('zoom_request', {
    endpoint: 'users.list',
    outcome: 'network',
    status: null,
    ms: 80,
    retryAfterMs: null,
  });
  telemetry.emit('grant', { grantId: 'grant-77', type: 'refresh_rotated' });
  telemetry.emit('grant', { grantId: 'grant-77', type: 'grant_dead', reason: 'refresh_lost' });
  telemetry.emit('grant', { grantId: 'grant-77', type: 'scopes_shrank' });
  telemetry.emit('webhook', { app: 'admin', event: 'user.updated', outcome: 'taken', ms: 3 });
  telemetry.emit('meeting', { action: 'create', outcome: 'temporarily_unavailable', ms: 40 });
  const lines = await page();
  for (const line of [
    'zoom_steward_jobs_started_total{queue="quick",job="reconcile-member"} 2',
    'zoom_steward_jobs_finished_total{queue="quick",job="reconcile-member",outcome="retried"} 1',
    'zoom_steward_job_duration_seconds_sum{queue="quick",job="reconcile-member"} 0.25',
    // The retry waited on purpose.
    'zoom_steward_job_wait_seconds_sum{queue="quick",job="reconcile-member"} 1.5',
    'zoom_steward_job_stalled_total{queue="bulk"} 1',
    'zoom_steward_zoom_requests_total{endpoint="users.list",status_class="4xx"} 1',
    'zoom_steward_zoom_requests_total{endpoint="users.list",status_class="none"} 1',
    'zoom_steward_zoom_limited_seconds_total 12',
    'zoom_steward_token_refresh_total{outcome="rotated"} 1',
    'zoom_steward_token_refresh_total{outcome="lost"} 1',
    'zoom_steward_webhooks_total{app="admin",outcome="taken"} 1',
    'zoom_steward_meetings_total{action="create",outcome="temporarily_unavailable"} 1',
    'zoom_steward_meeting_duration_seconds_sum{action="create"} 0.04',
  ])
    expect(lines).toContain(line);
  expect(lines.filter((line) => line.includes('77'))).toEqual([]);
});

describe('what the installation says', () => {
  const organizationId = randomUUID();

  test('comes from the database at the moment of asking', async () => {
    const { db } = database;
    const connectionId = randomUUID();
    await sql`
      insert into steward.org_connections (id, organization_id, state, verified_at, verify_due_at)
      values (${connectionId}, ${organizationId}, 'active', steward.now() - interval '90 minutes', steward.now() - interval '10 minutes'),
             (${randomUUID()}, ${randomUUID()}, 'interrupted', steward.now() - interval '3 hours', steward.now() + interval '1 hour'),
             (${randomUUID()}, ${randomUUID()}, 'none', null, null)`.execute(db);
    await sql`
      insert into steward.outbox (job, key, created_at, available_at)
      values ('j', 'due', steward.now(), steward.now() - interval '7 minutes'), ('j', 'later', steward.now(), steward.now() + interval '1 hour')`.execute(
      db,
    );
    await sql`insert into steward.switches values ('pause_declaring', 'fleet guard', 'schedule', steward.now())`.execute(
      db,
    );
    await sql`insert into steward.client_states (client_id, breaker_since, breaker_until, breaker_reason, breaker_count)
              values ('app', steward.now(), steward.now(), 'invalid_client', 1)`.execute(db);
    await sql`
      insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, sealed_access, sealed_refresh, key_id, consented_at)
      values (gen_random_uuid(), 'admin', 'app', 'acc', 'user', 'living', 'x', 'x', 'lost-key', now())`.execute(db);
    const run = (state: string, createdAgo: string, counts: object) =>
      sql`
      insert into steward.runs (id, target, organization_id, target_id, connection_id, generation, cause, actor, state, counts, created_at)
      values (gen_random_uuid(), 'organization', ${organizationId}, ${organizationId}, ${connectionId}, 1, 'schedule', 'schedule', ${state},
              ${JSON.stringify(counts)}::jsonb, steward.now() - ${createdAgo}::interval)`.execute(db);
    await run('done', '30 hours', { 'members.written': 500 });
    await run('done', '2 hours', { 'members.written': 4, 'members.gained': 3, 'locations.removed': 2 });
    await run('running', '10 minutes', {});

    await sql`
      insert into steward.events (organization_id, type, created_at, position, delivered_at)
      values (${organizationId}, 'x', steward.now() - interval '2 hours', 1, null), (${organizationId}, 'x', steward.now() - interval '3 hours', 2, steward.now())`.execute(
      db,
    );

    const lines = await page();
    for (const line of [
      'zoom_steward_connections{state="active"} 1',
      'zoom_steward_connections{state="interrupted"} 1',
      'zoom_steward_connections{state="disconnecting"} 0',
      'zoom_steward_outbox_unsent 1',
      'zoom_steward_events_untaken 1',
      'zoom_steward_switches{switch="pause_declaring"} 1',
      'zoom_steward_switches{switch="pause_all"} 0',
      'zoom_steward_applications_refused 1',
      'zoom_steward_grants_unreadable 1',
      'zoom_steward_runs_stuck 1',
      'zoom_steward_drift_members{category="written"} 4',
      'zoom_steward_drift_members{category="gained"} 3',
    ])
      expect(lines).toContain(line);
    const value = (name: string): number =>
      Number(
        lines
          .find((line) => line.startsWith(`zoom_steward_${name} `))
          ?.split(' ')
          .at(-1),
      );
    expect(value('outbox_oldest_age_seconds')).toBeCloseTo(420, -1);
    expect(value('events_oldest_age_seconds')).toBeCloseTo(7_200, -2);
    expect(value('verify_age_seconds{which="newest"}')).toBeCloseTo(5_400, -1);
    expect(value('verify_age_seconds{which="oldest"}')).toBeCloseTo(10_800, -1);
    expect(value('verify_age_seconds{which="overdue"}')).toBeCloseTo(600, -1);

    await sql`
      insert into steward.event_batches (organization_id, seq, change, event_type_ids, owner_member_ids, locations, needs_location, created_at)
      values (${organizationId}, 1, 'removed', '{}', '{}', '{}', '{}', steward.now() - interval '4 hours')`.execute(db);
    expect(
      Number(
        (await page())
          .find((line) => line.startsWith('zoom_steward_events_oldest_age_seconds '))
          ?.split(' ')
          .at(-1),
      ),
    ).toBeCloseTo(14_400, -2);
  });

  test('is left out, not shown as it was, when its source is away; the rest is still published', async () => {
    const depth = { waiting: 5, active: 1, delayed: 0, failed: 2 };
    const queues = async () => [{ queue: 'quick' as const, depth, oldestAgeMs: 2_500 }];
    const before = await page({ queues });
    expect(before).toContain('zoom_steward_queue_depth{queue="quick",state="failed"} 2');
    expect(before).toContain('zoom_steward_queue_oldest_age_seconds{queue="quick"} 2.5');
    const away = () => Promise.reject(new Error('away'));
    const after = await page({ fleet: away, drift: away, queues: away });
    const shown = after.filter((line) =>
      /^zoom_steward_(queue|outbox|events_untaken|events_oldest|connections|runs_stuck|applications|grants|switches)/.test(
        line,
      ),
    );
    expect(shown).toEqual([]);
    expect(after).toContain('# TYPE zoom_steward_jobs_started_total counter');
  });

  test('two that ask at once both get all of it', async () => {
    const pages = await Promise.all([page(), page()]);
    for (const lines of pages) expect(lines).toContain('zoom_steward_connections{state="active"} 1');
  });
});

test('a long run is not stuck between two slices, nor while an operator pauses it', async () => {
  const { db } = database;
  const organization = await fillOrganization(db, 3);
  const runId = await db
    .transaction()
    .execute((trx) =>
      startOrganizationRun(trx, { connectionId: organization.connectionId, cause: 'operator', actor: 'app' }),
    );
  await sql`update steward.runs set created_at = created_at - interval '1 hour', started_at = created_at - interval '1 hour' where id = ${runId}`.execute(
    db,
  );
  const stuck = async () => (await readFleetFacts(db, [])).runsStuck;
  const before = await stuck();
  await sql`insert into steward.switches values ('pause_writes', 'x', 'operator:jo', steward.now())`.execute(db);
  expect(await advanceRun(db, runId)).toMatchObject({ state: 'paused' });
  expect(await stuck()).toBe(before - 1);
  await sql`delete from steward.switches where name = 'pause_writes'`.execute(db);
  expect(await advanceRun(db, runId, { sliceMs: 0, chunkSize: 1 })).toMatchObject({ state: 'more' });
  expect(await stuck()).toBe(before - 1);
});

test('runs tell the members they looked at, slice by slice, and their whole time at the end', async () => {
  const { db } = database;
  const runId = randomUUID();
  const organizationId = randomUUID();
  await sql`
    insert into steward.runs (id, target, organization_id, target_id, generation, cause, actor, state, progress, created_at, started_at)
    values (${runId}, 'organization', ${organizationId}, ${organizationId}, 1, 'activated', 'app', 'running', '{"members": {"done": 100, "total": 250}}',
            steward.now(), steward.now() - interval '40 seconds')`.execute(db);
  const slices = [
    { done: 200, state: 'more' as const },
    { done: 250, state: 'done' as const },
  ];
  const observed = observeRuns(
    services({
      advanceRun: async () => {
        const slice = slices.shift()!;
        await sql`update steward.runs set progress = jsonb_set(progress, '{members,done}', ${String(slice.done)}::jsonb) where id = ${runId}`.execute(
          db,
        );
        return { state: slice.state, counts: {} };
      },
      reconcileMember: async () => ({ state: 'unchanged', counts: {} }),
    }),
    db,
    telemetry,
  );
  const slice = { sliceMs: 10, signal: new AbortController().signal };
  await observed.advanceRun(runId, slice);
  expect(await page()).toContain('zoom_steward_run_members_total{kind="organization"} 100');
  await observed.advanceRun(runId, slice);
  await observed.reconcileMember(randomUUID(), { cause: 'member_changed', actor: 'app' });
  const lines = await page();
  expect(lines).toContain('zoom_steward_run_members_total{kind="organization"} 150');
  expect(lines).toContain('zoom_steward_run_members_total{kind="member"} 1');
  expect(lines).toContain('zoom_steward_run_duration_seconds_count{kind="organization",outcome="done"} 1');
  expect(lines).toContain('zoom_steward_run_duration_seconds_bucket{le="15",kind="organization",outcome="done"} 0');
});
