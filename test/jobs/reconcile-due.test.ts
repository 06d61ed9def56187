import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, describe, expect, test } from 'vitest';
import { reconcileDue } from '../../src/jobs/reconcile-due.ts';
import { tick } from '../../src/queues/ticker.ts';
import { useDatabase } from '../support/database.ts';
import { expectEnqueued, performJob } from './perform-job.ts';

const database = useDatabase();

beforeEach(async () => {
  await sql`truncate steward.outbox, steward.runs, steward.org_connections cascade`.execute(database.db);
  await sql`delete from steward.installation`.execute(database.db);
});

async function connection(
  over: { state?: string; createdAgo?: string; verifyIn?: string } = {},
): Promise<{ id: string; organizationId: string }> {
  const [id, organizationId] = [randomUUID(), randomUUID()];
  await sql`insert into steward_app.organizations (id, name) values (${organizationId}, 'Acme')`.execute(database.db);
  await sql`
    insert into steward.org_connections (id, organization_id, state, created_at, verify_due_at)
    values (${id}, ${organizationId}, ${over.state ?? 'active'}, steward.now() - ${over.createdAgo ?? '1 hour'}::interval,
            steward.now() + ${over.verifyIn ?? '6 hours'}::interval)`.execute(database.db);
  return { id, organizationId };
}

async function run(
  organizationId: string,
  over: { state?: string; cascade?: boolean; createdAgo?: string; leaseIn?: string | null; endedAgo?: string } = {},
): Promise<string> {
  const id = randomUUID();
  await sql`
    insert into steward.runs (id, target, organization_id, target_id, generation, cause, actor, cascade, state, created_at, lease_until, ended_at)
    values (${id}, 'organization', ${organizationId}, ${organizationId}, 1, 'x', 'schedule', ${over.cascade ?? false}, ${over.state ?? 'running'},
            steward.now() - ${over.createdAgo ?? '1 hour'}::interval, steward.now() + ${over.leaseIn ?? null}::interval,
            steward.now() - ${over.endedAgo ?? null}::interval)`.execute(database.db);
  return id;
}

const due = () => performJob(database.db, reconcileDue, {});
const keys = async (job: string) =>
  (await expectEnqueued(database.db)).filter((said) => said.job === job).map((said) => said.key);

describe('runs whose job got lost', () => {
  test('are handed over again: lease over, or never begun; not those that somebody is at, nor young ones', async () => {
    const { organizationId } = await connection();
    const lost = await run(organizationId, { leaseIn: '-1 minute' });
    await run((await connection()).organizationId, { leaseIn: '5 seconds' });
    await run((await connection()).organizationId, { state: 'queued', createdAgo: '2 seconds' });
    const forgotten = await run((await connection()).organizationId, { state: 'queued' });
    const cascade = await run((await connection({ state: 'disconnecting' })).organizationId, {
      cascade: true,
      leaseIn: '-1 minute',
    });
    await run((await connection()).organizationId, { state: 'held', leaseIn: '-1 minute' });
    await due();
    expect((await keys('reconcile-organization')).sort()).toEqual([lost, forgotten].sort());
    expect(await keys('disconnect-organization')).toEqual([cascade]);
  });

  test('are handed over once, however often it ticks, and at once', async () => {
    const lost = await run((await connection()).organizationId, { leaseIn: '-1 minute' });
    await due();
    await due();
    expect(await keys('reconcile-organization')).toEqual([lost]);
    await sql`truncate steward.outbox`.execute(database.db);
    await Promise.all([due(), due()]);
    // Two ticks at the same instant may both say it: the queue makes one of them.
    expect(new Set(await keys('reconcile-organization'))).toEqual(new Set([lost]));
  });
});

test('a cascade that is done without its last step gets it', async () => {
  const { organizationId } = await connection({ state: 'disconnecting' });
  const cascade = await run(organizationId, { state: 'done', cascade: true, endedAgo: '1 minute' });
  await run((await connection({ state: 'none' })).organizationId, {
    state: 'done',
    cascade: true,
    endedAgo: '1 minute',
  });
  await due();
  expect(await keys('disconnect-organization')).toEqual([cascade]);
});

test('organizations not looked at for a day are, others are not', async () => {
  const stale = await connection({ createdAgo: '3 days' });
  await run(stale.organizationId, { state: 'done', createdAgo: '25 hours', endedAgo: '25 hours' });
  const fresh = await connection({ createdAgo: '3 days' });
  await run(fresh.organizationId, { state: 'done', createdAgo: '2 hours', endedAgo: '2 hours' });
  const busy = await connection({ createdAgo: '3 days' });
  await run(busy.organizationId, { createdAgo: '30 hours', leaseIn: '5 seconds' });
  await connection({ createdAgo: '1 hour' });
  // An interruption since then stood on stored facts: it found nothing of what nobody announced.
  const interrupted = await run(stale.organizationId, { state: 'done', createdAgo: '2 hours', endedAgo: '2 hours' });
  await sql`update steward.runs set progress = '{"members": {"done": 5}, "locations": {"done": 0}}' where id = ${interrupted}`.execute(
    database.db,
  );
  await due();
  expect(await keys('reconcile-organization')).toEqual([stale.organizationId]);
});

test('so are those without a connection whose members have a Zoom of their own; not those without any, nor deleted ones', async () => {
  const [external, managed, none, deleted, young] = Array.from({ length: 5 }, () => randomUUID());
  await sql`
    insert into steward_app.organizations (id, name, created_at, deleted_at)
    select id, 'Own', case when id = ${young} then now() else now() - interval '3 days' end, case when id = ${deleted} then now() end
      from unnest(${[external, managed, none, deleted, young]}::uuid[]) id`.execute(database.db);
  await sql`
    insert into steward_app.personal_connections (member_id, organization_id, state)
    select gen_random_uuid(), id, 'connected' from unnest(${[external, deleted, young]}::uuid[]) id`.execute(
    database.db,
  );
  await sql`
    insert into steward.personal_connections (id, organization_id, member_id, state)
    values (gen_random_uuid(), ${managed}, gen_random_uuid(), 'disconnected')`.execute(database.db);
  await due();
  expect((await keys('reconcile-organization')).sort()).toEqual([external, managed].sort());
  await sql`delete from steward_app.personal_connections`.execute(database.db);
  await sql`delete from steward.personal_connections`.execute(database.db);
});

test('the walk over all organizations comes to each, a stretch a tick, and begins anew', async () => {
  const total = 2_500;
  await sql`
    insert into steward_app.organizations (id, name, created_at) select gen_random_uuid(), 'Walked', now() - interval '3 days' from generate_series(1, ${total}::int)`.execute(
    database.db,
  );
  await sql`
    insert into steward.org_connections (id, organization_id, state, created_at, verify_due_at)
    select gen_random_uuid(), id, 'none', now() - interval '3 days', null from steward_app.organizations where name = 'Walked'`.execute(
    database.db,
  );
  const found: number[] = [];
  for (let ticks = 0; ticks < 20 && found.at(-1) !== 0; ticks++) {
    await due();
    found.push(new Set(await keys('reconcile-organization')).size);
    if (found.at(-1) === found.at(-2)) break;
  }
  expect(found[0]).toBe(200);
  expect(found.at(-1)).toBe(total);
  // All are still due: their jobs have not run. What waits in the outbox is not said twice.
  await due();
  expect(await keys('reconcile-organization')).toHaveLength(total);
  await sql`delete from steward_app.organizations where name = 'Walked'`.execute(database.db);
});

test('copies of locations that can no longer be restored are deleted', async () => {
  await sql`
    insert into steward.archived_locations (id, organization_id, event_type_id, adapter, place, content, neighbours, cause, offered, generation, run_id, archived_at, expires_at)
    select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'rows', 0, '{}', '', 'member_inactive', false, 1, gen_random_uuid(),
           steward.now() - interval '90 days', steward.now() + days * interval '1 day' from unnest(array[-1, 1]) days`.execute(
    database.db,
  );
  await due();
  const { rows } = await sql`select expires_at > steward.now() as kept from steward.archived_locations`.execute(
    database.db,
  );
  expect(rows).toEqual([{ kept: true }]);
});

test('connections whose verification is due are verified', async () => {
  const dueNow = await connection({ verifyIn: '-1 minute' });
  await connection({ verifyIn: '1 hour' });
  await connection({ state: 'none', verifyIn: '-1 minute' });
  await due();
  expect(await keys('verify-admin-role')).toEqual([dueNow.id]);
});

test('a task that fails does not keep the others from running, and is named', async () => {
  const lost = await run((await connection()).organizationId, { leaseIn: '-1 minute' });
  await sql`alter table steward.connect_links rename to hidden_links`.execute(database.db);
  try {
    expect(await due()).toMatchObject({ kind: 'failed', error: { code: 'upkeep_failed' } });
  } finally {
    await sql`alter table steward.hidden_links rename to connect_links`.execute(database.db);
  }
  expect(await keys('reconcile-organization')).toEqual([lost]);
});

describe('the tick', () => {
  test('is said once for all processes, and again when its time has passed', async () => {
    const pools = [database.another(2), database.another(2)];
    const said = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => tick(pools[n % 2] as (typeof pools)[number], 60_000)));
    expect(said.filter(Boolean)).toHaveLength(1);
    expect(await keys('reconcile-due')).toEqual(['due']);
    await sql`update steward.installation set updated_at = updated_at - interval '61 seconds' where key = 'tick'`.execute(
      database.db,
    );
    // The one before has not been delivered: one is enough.
    await tick(database.db, 60_000);
    expect(await keys('reconcile-due')).toEqual(['due']);
    await sql`truncate steward.outbox`.execute(database.db);
    await sql`update steward.installation set updated_at = updated_at - interval '61 seconds' where key = 'tick'`.execute(
      database.db,
    );
    expect(await tick(database.db, 60_000)).toBe(true);
  });

  test('is not said again by a process that read the clock first and came second', async () => {
    await tick(database.db, 60_000);
    await sql`truncate steward.outbox`.execute(database.db);
    try {
      await sql`update steward.clock set offset_by = '-3 seconds'`.execute(database.db);
      expect(await tick(database.db, 60_000)).toBe(false);
    } finally {
      await sql`update steward.clock set offset_by = '0'`.execute(database.db);
    }
  });

  test('is due at once when the clock is moved on, and when it is moved back', async () => {
    await tick(database.db, 60_000);
    await sql`truncate steward.outbox`.execute(database.db);
    expect(await tick(database.db, 60_000)).toBe(false);
    try {
      await sql`update steward.clock set offset_by = '1 day'`.execute(database.db);
      expect(await tick(database.db, 60_000)).toBe(true);
      await sql`truncate steward.outbox`.execute(database.db);
      await sql`update steward.clock set offset_by = '0'`.execute(database.db);
      expect(await tick(database.db, 60_000)).toBe(true);
    } finally {
      await sql`update steward.clock set offset_by = '0'`.execute(database.db);
    }
  });
});
