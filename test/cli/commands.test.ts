import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type FilledOrganization, fillOrganization, memberOf } from '../reconciliation/support/fill-organization.ts';
import { useDatabase } from '../support/database.ts';
import { type Played, type PlayOptions, playCli } from './play-cli.ts';
import { playWorker } from './play-worker.ts';

vi.setConfig({ testTimeout: 120_000 });

const database = useDatabase();
const members = 120;
let organization: FilledOrganization;
let worker: ReturnType<typeof playWorker>;

const steward = (line: readonly string[], options: PlayOptions = {}): Promise<Played> =>
  playCli(line, {
    ...options,
    env: { DATABASE_URL: database.url, STEWARD_PUBLIC_URL: 'https://zoom.example/', ...options.env },
  });

async function json<T = Record<string, unknown>>(...line: string[]): Promise<T> {
  const { out, err, code } = await steward([...line, '--json']);
  expect({ code, err: code === 0 || code === 2 ? '' : err }).toMatchObject({ err: '' });
  return JSON.parse(out) as T;
}

const why = ['--reason', 'ticket 4711', '--as', 'jo'];

beforeAll(async () => {
  organization = await fillOrganization(database.db, members);
  await sql`
    insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
    select id, organization_id, 'solo', id, 'Call' from steward_app.members`.execute(database.db);
  await sql`
    insert into steward_app.locations (id, event_type_id, organization_id, position, kind)
    select gen_random_uuid(), id, organization_id, 1, 'zoom_conference' from steward_app.event_types`.execute(
    database.db,
  );
  worker = playWorker(database.another());
});

afterAll(() => worker.stop());

describe('one organization, by commands alone', () => {
  test('a plan shows what is not as it should be, and exits 2', async () => {
    const played = await steward(['reconcile', 'filled', '--plan']);
    expect(played.code).toBe(2);
    expect(played.out).toContain('Filled: 120 changes (120 members, 108 can host; generation 1)');
    expect(played.out).toMatch(/96 {2}nothing → organization\/can_host \(organization\) {2}e\.g\. [0-9a-f-]{36}/);
  });

  test('apply writes it; the plan straight after finds nothing and exits 0', async () => {
    const played = await steward(['reconcile', 'Filled', '--apply', ...why, '--json']);
    expect(played.code).toBe(0);
    expect(JSON.parse(played.out)).toMatchObject({ run: { state: 'done', cause: 'operator', actor: 'operator:jo' } });
    expect(played.err).toContain('To stop runs: zoom-steward pause writes');
    const again = await steward(['reconcile', 'Filled', '--plan']);
    expect(again).toMatchObject({ code: 0, err: '' });
    expect(again.out).toContain('Filled: nothing to do');
    const announced = await steward(['reconcile', 'Filled', '--plan', '--announced', '--json']);
    expect(announced.code).toBe(0);
    expect(JSON.parse(announced.out)).toMatchObject({ announced: 0, changes: 0 });
    const all = await steward(['reconcile', '--all', '--plan', '--json']);
    expect(all.code).toBe(0);
    expect(JSON.parse(all.out)).toEqual({ organizations: 1, withChanges: 0 });
  });

  test('status leads with customer impact', async () => {
    const { out } = await steward(['status']);
    expect(out.split('\n')[0]).toBe(
      '0 of 1 organization interrupted, 0 members cannot host because of us, 0 runs stuck',
    );
    await sql`update steward.org_connections set state = 'interrupted', interrupted_reason = 'admin demoted', interrupted_at = now()`.execute(
      database.db,
    );
    const interrupted = await json<{ impact: string; membersWithoutHost: number; needAttention: { why: string }[] }>(
      'status',
    );
    expect(interrupted.impact).toBe(
      '1 of 1 organization interrupted, 108 members cannot host because of us, 0 runs stuck',
    );
    expect(interrupted).toMatchObject({ membersWithoutHost: 108, needAttention: [{ why: 'admin demoted' }] });
    await sql`update steward.org_connections set state = 'active', interrupted_reason = null, interrupted_at = null`.execute(
      database.db,
    );
    const one = await json('status', organization.organizationId);
    expect(one).toMatchObject({
      state: 'active',
      effective: { organization: 108, personal: 12 },
      hosting: { can_host: 96, no_zoom_user: 12 },
    });
  });

  test('members are listed by page and filter', async () => {
    const page = await json<{ members: { id: string }[]; next: string }>(
      'members',
      'Filled',
      '--hosting',
      'no_zoom_user',
      '--limit',
      '5',
    );
    expect(page.members).toHaveLength(5);
    const rest = await json<{ members: { id: string }[]; next: null }>(
      'members',
      'Filled',
      '--hosting',
      'no_zoom_user',
      '--after',
      page.next,
    );
    expect(rest).toMatchObject({ next: null });
    expect(new Set([...page.members, ...rest.members].map((member) => member.id)).size).toBe(12);
  });

  test('explain says which rule decided, live, and that the stored row is behind', async () => {
    const id = await memberOf(database.db, organization, 1);
    const before = await steward(['explain', `1@${organization.account}.test`]);
    expect(before.out).toContain('because      rule 2');
    expect(before.out).toContain('stored       the same');
    await sql`update steward_app.members set active = false where id = ${id}`.execute(database.db);
    const after = await json('explain', id);
    expect(after).toMatchObject({
      effective: 'none',
      reason: 'member_inactive',
      storedIsCurrent: false,
      stored: { effective: 'organization' },
    });
    await sql`update steward_app.members set active = true where id = ${id}`.execute(database.db);
  });

  test('connect-link shows a link once and stores only its hash', async () => {
    const link = await json<{ url: string; linkId: string }>('connect-link', 'Filled', ...why);
    expect(link.url).toMatch(/^https:\/\/zoom\.example\/connect\/[\w-]{43}$/);
    const { rows } = await sql<{
      all: string;
    }>`select string_agg(l::text || a::text, '') as all from steward.connect_links l, steward.audit_log a`.execute(
      database.db,
    );
    expect(rows[0]?.all).not.toContain(link.url.split('/').at(-1));
  });

  test('the guard holds a run that takes Zoom from many; --max-removals lets exactly so many pass', async () => {
    await sql`update steward_app.members set active = false
               where split_part(email, '@', 1)::int between 21 and 40`.execute(database.db);
    const refused = await steward(['reconcile', 'Filled', '--apply', ...why, '--max-removals', '19']);
    expect(refused).toMatchObject({ code: 3, out: '' });
    expect(refused.err).toContain('at most 19 removals in Filled, the plan has 20');
    const held = await steward(['reconcile', 'Filled', '--apply', ...why]);
    expect(held.code).toBe(3);
    expect(held.out).toContain(': held');
    expect(held.out).toContain('--apply --max-removals N');
    const passed = await steward(['reconcile', 'Filled', '--apply', ...why, '--max-removals', '20']);
    expect(passed.code).toBe(0);
    expect(passed.out).toContain('approved     operator:jo');
    expect((await steward(['reconcile', 'Filled', '--plan'])).code).toBe(0);
  });

  test('disconnect: preview, refusals, then the cascade; restore accepts the offer', async () => {
    const preview = await json<{ generation: number; locations: { removed: { locations: number } } }>(
      'disconnect',
      'Filled',
      '--preview',
    );
    expect(preview.locations.removed.locations).toBe(90);
    const text = await steward(['disconnect', 'Filled', '--preview']);
    expect(text.out).toContain('80 members who can host now could not any more');
    expect(await steward(['disconnect', 'Filled', ...why])).toMatchObject({ code: 3, out: '' });
    expect((await steward(['disconnect', 'Filled', ...why, '--confirm', 'Fill'])).code).toBe(3);
    const stale = await steward(['disconnect', 'Filled', ...why, '--confirm', 'Filled', '--generation', '0']);
    expect(stale.code).toBe(3);
    expect(stale.err).toContain('generation 0');
    const done = await json<{ runId: string }>(
      'disconnect',
      'Filled',
      ...why,
      '--confirm',
      'Filled',
      '--generation',
      String(preview.generation),
    );
    const watched = await steward(['runs', 'watch', done.runId, '--exit-status']);
    expect(watched.code).toBe(0);
    expect(watched.out).toContain('cascade of organization Filled: done');
    const { count } = await database.db
      .selectFrom('steward_app.locations')
      .select((eb) => eb.fn.countAll().as('count'))
      .executeTakeFirstOrThrow();
    expect(Number(count)).toBe(10);

    await sql`update steward.org_connections set state = 'active', generation = generation + 1, disconnected_at = null`.execute(
      database.db,
    );
    const restored = await json<{ runId: string }>('restore', 'Filled', ...why);
    await steward(['runs', 'watch', restored.runId, '--exit-status']);
    expect((await json<{ archived: { offered: number } }>('status', 'Filled')).archived.offered).toBe(0);
    expect((await steward(['restore', 'Filled', ...why])).code).toBe(1);
  });

  test('runs are listed and shown', async () => {
    const { runs } = await json<{ runs: { id: string; cause: string }[] }>('runs', 'list', 'Filled');
    expect(runs.map((run) => run.cause)).toContain('disconnect');
    const held = runs.at(-2)?.id as string;
    expect((await steward(['runs', 'show', held.slice(0, 13)])).out).toContain(`run          ${held}`);
    expect((await steward(['runs', 'watch', 'Filled'])).code).toBe(0);
    expect((await steward(['runs', 'show', 'zzzz'])).code).toBe(1);
  });

  test('pause and resume are in the database, audited, and shown by status', async () => {
    expect(await json('pause', 'writes', ...why)).toMatchObject({ switch: 'pause_writes', on: true, changed: true });
    expect(await json('pause', 'writes', ...why)).toMatchObject({ changed: false });
    expect((await steward(['status'])).out).toMatch(/PAUSED {2}writes since .* by operator:jo: ticket 4711/);
    const resumed = await steward(['resume', 'writes'], { answers: ['mended'] });
    expect(resumed).toMatchObject({ code: 0, out: 'writes: goes on.\n' });
    expect(resumed.err).toContain('To undo: zoom-steward pause writes');
    const audit = await database.db
      .selectFrom('steward.audit_log')
      .select(['action', 'reason'])
      .where('action', 'like', 'switch.%')
      .orderBy('id')
      .execute();
    expect(audit.at(-1)).toEqual({ action: 'switch.pause_writes.off', reason: 'mended' });
  });
});

test('verify asks for a look, once a minute, and says when no worker takes it', async () => {
  const asked = await steward(['verify', 'Filled', ...why, '--wait', '1']);
  expect(asked.code).toBe(1);
  expect(asked.err).toContain('no worker has taken it within 1 s');
  const owed = await database.db
    .selectFrom('steward.outbox')
    .select('payload')
    .where('job', '=', 'verify-admin-role')
    .execute();
  expect(owed).toEqual([{ payload: { connectionId: organization.connectionId } }]);
  const again = await steward(['verify', 'Filled', ...why, '--wait', '0']);
  expect(again.code).toBe(3);
  expect(again.err).toContain('within the last minute');
});

describe('settings by commands', () => {
  test('are shown, previewed and changed; what takes Zoom from somebody needs the name', async () => {
    expect((await steward(['settings', 'Filled'])).out).toMatch(/reconnect-days\s+14/);
    const refused = await steward(['settings', 'Filled', '--set', 'rollout=nobody']);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain('Expected all, groups or domains');
    const changed = await json(
      'settings',
      'Filled',
      '--set',
      'reconnect-days=never',
      '--set',
      'archive-days=30',
      ...why,
    );
    expect(changed).toMatchObject({ changed: ['reconnectDays', 'archiveDays'], runId: null });
    const set = ['--set', 'rollout=domains', '--set', 'rollout-domains=elsewhere.example'];
    const preview = await json('settings', 'Filled', ...set, '--preview');
    expect(preview).toMatchObject({ needsConfirmation: true, settings: { rollout: 'domains' } });
    expect((await json('settings', 'Filled'))['settings']).toMatchObject({ rollout: 'all', reconnectDays: null });
  });
});

test('one-time-run is previewed, ordered with a reason, and undone', async () => {
  await sql`
    insert into steward_app.event_types (id, organization_id, kind, host_member_id, title, created_at)
    values (gen_random_uuid(), ${organization.organizationId}, 'solo', ${await memberOf(database.db, organization, 1)}, 'Call', now() - interval '1 day')`.execute(
    database.db,
  );
  const on = await steward(['settings', 'Filled', '--set', 'zoom-for-new-event-types=on', ...why]);
  expect(on.err).toContain(`zoom-steward one-time-run ${organization.organizationId} --preview`);
  expect((await steward(['one-time-run', 'Filled'])).out).toContain('None was ordered.');
  const preview = await steward(['one-time-run', 'Filled', '--preview']);
  expect(preview.out).toContain('1 event type get Zoom in first place (1 solo; e.g. ');
  expect((await steward(['one-time-run', 'Filled', '--apply'])).code).toBe(3);
  const stale = await steward(['one-time-run', 'Filled', '--apply', '--generation', '0', ...why]);
  expect(stale).toMatchObject({ code: 3 });
  const ordered = await steward(['one-time-run', 'Filled', '--apply', ...why]);
  expect(ordered.code).toBe(0);
  const id = /--undo (\S+)/.exec(ordered.err)?.[1] as string;
  expect((await steward(['one-time-run', 'Filled', '--undo', id, ...why])).code).toBe(0);
  const listed = (await steward(['one-time-run', 'Filled'])).out;
  expect(listed).toContain(`undoes ${id}`);
  expect(listed).toContain('operator:jo');
  expect((await steward(['one-time-run', 'Filled', '--undo', 'x', ...why])).code).toBe(2);
});

test('extend-deadline gives more days where a deadline runs, with a reason', async () => {
  const { connectionId } = organization;
  const none = await steward(['extend-deadline', 'Filled', '--days', '7', ...why]);
  expect(none.err).toContain('Expected a connection whose deadline runs');
  const ends = (state: string, at: string | null) =>
    sql`update steward.org_connections set state = ${state}, deadline_at = ${at}::timestamptz where id = ${connectionId}`.execute(
      database.db,
    );
  const before = await database.db
    .selectFrom('steward.org_connections')
    .select('state')
    .where('id', '=', connectionId)
    .executeTakeFirstOrThrow();
  await ends('interrupted', '2040-01-02T10:00:00Z');
  expect((await steward(['extend-deadline', 'Filled', '--days', '61', ...why])).code).toBe(2);
  expect((await steward(['extend-deadline', 'Filled', '--days', '7', '--no-input'])).code).toBe(3);
  const { deadlineAt } = await json('extend-deadline', 'Filled', '--days', '7', ...why);
  expect(deadlineAt).toBe('2040-01-09T10:00:00.000Z');
  const { rows } = await sql`
    select actor, reason from steward.audit_log where action = 'connection.deadline_extended'`.execute(database.db);
  expect(rows).toEqual([{ actor: 'operator:jo', reason: 'ticket 4711' }]);
  await ends(before.state, null);
});

test("disconnect-personal ends a member's own Zoom once, and the member hears why", async () => {
  const { db } = database;
  const member = await memberOf(db, organization, 1);
  const grant = '00000000-0000-4000-8000-00000000d15c';
  await sql`
    insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, sealed_access, sealed_refresh, consented_at)
    values (${grant}, 'personal', 'own', 'acc-own', 'u-own', 'living', 'x', 'x', now())`.execute(db);
  const { rows: held } = await sql<{ id: string }>`
    insert into steward.personal_connections (id, organization_id, member_id, state, grant_id, zoom_account_id, zoom_user_id, changed_at)
    select gen_random_uuid(), organization_id, id, 'active', ${grant}, 'acc-own', 'u-own', steward.now() from steward_app.members where id = ${member}
    on conflict (organization_id, member_id) do update set state = 'active', grant_id = excluded.grant_id returning id`.execute(
    db,
  );
  expect((await steward(['disconnect-personal', member, '--no-input'])).code).toBe(3);
  expect(await json('disconnect-personal', member, ...why)).toMatchObject({ disconnected: true });
  const again = await steward(['disconnect-personal', member, ...why]);
  expect(again.err).toContain('has no Zoom of their own here');
  const { rows: told } = await sql<{ data: object }>`
    select data from steward.events where type = 'personal.disconnected' and subject_id = ${member}`.execute(db);
  expect(told).toMatchObject([{ data: { connectionId: held[0]?.id, reason: 'ticket 4711' } }]);
  const { rows: audit } = await sql`
    select actor, reason from steward.audit_log where action = 'personal.disconnected' and subject_id = ${held[0]?.id}`.execute(
    db,
  );
  expect(audit).toEqual([{ actor: 'operator:jo', reason: 'ticket 4711' }]);
  const { state } = await db
    .selectFrom('steward.grants')
    .select('state')
    .where('id', '=', grant)
    .executeTakeFirstOrThrow();
  expect(state).toBe('retiring');
});
