import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { prune, type Retention } from '../../src/operating/prune.ts';
import { useDatabase } from '../support/database.ts';
import { type Played, playCli } from './play-cli.ts';

const database = useDatabase();
const steward = (...line: string[]): Promise<Played> => playCli(line, { env: { DATABASE_URL: database.url } });
const why = ['--reason', 'nightly', '--as', 'cron'];
const kept: Retention = { runsDays: 90, eventsDays: 30, auditDays: 730 };

const organization = randomUUID();
const restorable = randomUUID();

const ids = {
  oldMember: randomUUID(),
  oldSuperseded: randomUUID(),
  oldPass: randomUUID(),
  newestPass: randomUUID(),
  youngMember: randomUUID(),
  openOld: randomUUID(),
  cascadeToRestore: randomUUID(),
  newerThanCascade: randomUUID(),
  onlyPassOfAnother: randomUUID(),
};

async function run(
  id: string,
  over: { target?: string; org?: string; state?: string; ended: string; cascade?: boolean },
): Promise<void> {
  const { target = 'organization', org = organization, state = 'done', ended, cascade = false } = over;
  await sql`
    insert into steward.runs (id, target, organization_id, target_id, generation, cause, actor, cascade, state, created_at, ended_at)
    values (${id}, ${target}, ${org}, ${org}, 1, 'schedule', 'schedule', ${cascade}, ${state}, steward.now() - ${ended}::interval,
            ${state === 'running' ? null : sql`steward.now() - ${ended}::interval`})`.execute(database.db);
}

const left = async (table: string): Promise<unknown[]> =>
  (
    await sql<{
      id: unknown;
    }>`select ${sql.ref(table === 'events' ? 'seq' : 'id')}::text as id from ${sql.table(`steward.${table}`)}`.execute(
      database.db,
    )
  ).rows.map((row) => row.id);

beforeAll(async () => {
  const { db } = database;
  await run(ids.oldMember, { target: 'member', ended: '91 days' });
  await run(ids.youngMember, { target: 'member', ended: '89 days' });
  await run(ids.oldSuperseded, { state: 'superseded', ended: '200 days' });
  await run(ids.oldPass, { ended: '95 days' });
  await run(ids.newestPass, { ended: '91 days' });
  await run(ids.openOld, { org: restorable, state: 'running', ended: '200 days' });
  await run(ids.cascadeToRestore, { org: restorable, cascade: true, ended: '100 days' });
  await run(ids.newerThanCascade, { org: restorable, ended: '92 days' });
  await run(ids.onlyPassOfAnother, { org: randomUUID(), ended: '400 days' });
  await sql`
    insert into steward.archived_locations (id, organization_id, event_type_id, adapter, place, content, neighbours, cause, offered, generation, run_id, archived_at, expires_at)
    values (${randomUUID()}, ${restorable}, ${randomUUID()}, 'rows', 1, '{}', 'x', 'organization_disconnected', true, 1, ${ids.cascadeToRestore}, steward.now(), steward.now() + interval '10 days'),
           (${randomUUID()}, ${organization}, ${randomUUID()}, 'rows', 1, '{}', 'x', 'opted_out', true, 1, ${randomUUID()}, steward.now(), steward.now() - interval '1 second')`.execute(
    db,
  );
  await sql`
    insert into steward.events (organization_id, type, created_at, delivered_at)
    select ${organization}, kind, steward.now() - age::interval, case when taken then steward.now() end
      from (values ('old', '31 days', true), ('young', '29 days', true), ('not taken', '400 days', false)) e (kind, age, taken)`.execute(
    db,
  );
  await sql`insert into steward.audit_log (actor, action, at) values ('app', 'old', steward.now() - interval '731 days'), ('app', 'young', steward.now())`.execute(
    db,
  );
  await sql`insert into steward.used_claims values ('old', steward.now() - interval '25 hours'), ('young', steward.now() - interval '23 hours')`.execute(
    db,
  );
  await sql`
    insert into steward.personal_consents (id, organization_id, member_id, token_hash, state, client_id, sealed_access, expires_at, created_at, ended_at)
    select gen_random_uuid(), ${organization}, gen_random_uuid(), sha256(what::bytea), state, what, pair, now(), now(), steward.now() - age::interval
      from (values ('old', 'done', '91 days', null), ('young', 'void', '89 days', null), ('open', 'asking', null, null),
                   ('holds a pair', 'failed', '91 days', 'x')) c (what, state, age, pair)`.execute(db);
  const grant = randomUUID();
  await sql`
    insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, version, sealed_access, sealed_refresh, consented_at)
    values (${grant}, 'admin', 'app', 'acc', 'user', 'living', 7, 'x', 'x', now())`.execute(db);
  await sql`
    insert into steward.refresh_attempts (id, grant_id, version, holder, cause, started_at, deadline_at, next_at, ended_at, outcome)
    select gen_random_uuid(), ${grant}, version, 'p', 'needed', now(), now(), now(), steward.now() - interval '100 days', 'unknown' from unnest(array[6, 7]) version`.execute(
    db,
  );
  // Refused and repeated since: nothing to learn from it.
  await sql`
    insert into steward.refresh_attempts (id, grant_id, version, holder, cause, started_at, deadline_at, next_at, ended_at, outcome)
    select gen_random_uuid(), ${grant}, 7, 'p', 'needed', now() + later, now(), now(), steward.now() - interval '100 days', 'refused'
      from unnest(array['-1 hour', '1 hour']::interval[]) later`.execute(db);
});

describe('prune', () => {
  test('shows by default, and changes nothing', async () => {
    const { out, err, code } = await steward('prune', '--json');
    expect(code).toBe(0);
    const { counts, applied } = JSON.parse(out);
    expect(applied).toBe(false);
    expect(counts.map(({ what, rows }: { what: string; rows: number }) => [what, rows])).toEqual([
      ['runs', 3],
      ['refresh attempts', 2],
      ['events', 1],
      ['audit log', 1],
      ['archived locations', 1],
      ['consents of members', 1],
      ['used claims', 1],
    ]);
    expect(err).toContain('Nothing was deleted');
    expect(await left('runs')).toHaveLength(9);
  });

  test('stops while writing is paused, and says so', async () => {
    await sql`insert into steward.switches values ('pause_writes', 'locks', 'operator:jo', steward.now())`.execute(
      database.db,
    );
    const { code, err } = await steward('prune', '--apply', ...why);
    expect(code).toBe(1);
    expect(err).toContain('an operator paused writing');
    expect(await left('runs')).toHaveLength(9);
    await sql`delete from steward.switches`.execute(database.db);
  });

  test('wants a reason, deletes what is over in small transactions, and keeps what somebody may need', async () => {
    expect((await steward('prune', '--apply')).code).toBe(3);
    const seen: number[] = [];
    const { deleted } = await prune(database.db, kept, { batch: 1, onProgress: ({ rows }) => seen.push(rows) });
    expect(deleted.map(({ rows }) => rows)).toEqual([3, 2, 1, 1, 1, 1, 1]);
    expect(seen).toEqual([1, 2, 3, 1, 2, 1, 1, 1, 1, 1]);
    expect((await left('runs')).sort()).toEqual(
      [
        ids.newestPass,
        ids.youngMember,
        ids.openOld,
        ids.cascadeToRestore,
        ids.newerThanCascade,
        ids.onlyPassOfAnother,
      ].sort(),
    );
    expect(await left('archived_locations')).toHaveLength(1);
    const consents = await database.db.selectFrom('steward.personal_consents').select('client_id').execute();
    expect(consents.map(({ client_id }) => client_id).sort()).toEqual(['holds a pair', 'open', 'young']);
    expect(await left('events')).toHaveLength(2);
    expect(await left('used_claims')).toEqual(['young']);
  });

  test('two at once delete every row once', async () => {
    await sql`insert into steward.audit_log (actor, action, at) select 'app', 'many', steward.now() - interval '800 days' from generate_series(1, 100)`.execute(
      database.db,
    );
    const [a, b] = await Promise.all([1, 2].map(() => prune(database.db, kept, { batch: 10 })));
    const audit = (of: typeof a): number => of?.deleted.find(({ what }) => what === 'audit log')?.rows ?? 0;
    expect(audit(a) + audit(b)).toBe(100);
    const { counts } = JSON.parse((await steward('prune', '--json')).out);
    expect(counts.map(({ rows }: { rows: number }) => rows)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  test('a second time deletes nothing; what was done is in the audit log', async () => {
    const { out, code } = await steward('prune', '--apply', ...why, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out).deleted.every(({ rows }: { rows: number }) => rows === 0)).toBe(true);
    const { rows } = await sql`select actor, action, reason from steward.audit_log order by id desc limit 1`.execute(
      database.db,
    );
    expect(rows).toEqual([{ actor: 'operator:cron', action: 'pruned', reason: 'nightly' }]);
  });
});

describe('runs list', () => {
  const listed = async (...line: string[]): Promise<string[]> => {
    const { out, code, err } = await steward('runs', 'list', '--json', ...line);
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    return JSON.parse(out).runs.map((one: { id: string }) => one.id);
  };

  test('filters by time and state, and goes on page by page', async () => {
    expect(await listed('--since', '90d')).toEqual([ids.youngMember]);
    expect(await listed('--since', '2020-01-01', '--state', 'running')).toEqual([ids.openOld]);
    const all = await listed();
    const pages = [await listed('--limit', '2')];
    for (let page = pages[0]; page?.length === 2; pages.push(page))
      page = await listed('--limit', '2', '--before', page[1] as string);
    expect(pages.flat()).toEqual(all);
    expect((await steward('runs', 'list', '--since', 'yesterday')).code).toBe(2);
  });
});
